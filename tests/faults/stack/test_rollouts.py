"""Whatever is killed, at whichever step, while a stage is rolled out, promoted or taken back: it is done once,
on every copy, and nothing is left."""

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bench import images
from tests.e2e.support import Answer
from tests.faults.support.stack import Stack
from tests.support.registry import Hub, registry

PATIENCE_S = 90.0
#: Of fail points (`runtime.faults`).
_VERBS = ("ensure", "remove", "wait", "do")
LIMITS = {"cpu": 1, "memory_mb": 64, "disk_mb": 128}
#: Each verb with what is killed meanwhile, in turn: a node's process at a step (of bringing what a registry
#: has, of making an app anew), or one of the installation at any moment.
WALK = tuple(
    zip(
        (
            *("before layers", "after app tree", "after image in the pool", "before image fetch"),
            *("after image fetch", "kill agent", "kill node-worker", "kill web child", "kill redis"),
        ),
        (
            *("before id range", "after app image", "before root volume", "after id-mapped root"),
            *("before OCI bundle", "after container", "before firewall", "kill panel-worker", "kill agent"),
        ),
        (
            *("after addresses and routes", "before init process", "after start", "before limits (cgroup)"),
            *("after network link", "kill node-slow", "kill beat", "kill panel-worker child", "kill web"),
        ),
        strict=True,
    )
)
VERBS = ("deploy", "promote", "rollback")
FAULTS = [(verb, fault) for turn in WALK for verb, fault in zip(VERBS, turn, strict=True)]


@dataclass
class Line:
    """Two stages of it, the second with two copies; what each runs is known."""

    stack: Stack
    hub: Hub
    stages: dict[str, str] = field(default_factory=dict)
    copies: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    before: str = ""
    number: int = 1
    chance: random.Random = field(default_factory=lambda: random.Random(20261130))

    def make(self) -> None:
        image = images.web(self.hub, self.number)
        for name, count in (("test", 1), ("production", 2)):
            self.copies[name] = [self._copy(image) for _ in range(count)]
            # what production gets was asked by a command, so that an agent is killed while it runs too
            command = ["/bin/sh", "-c", "sleep 1"] if name == "test" else []
            line = f"line-{self.hub.host[-5:]}"
            values = {"tenant": "demo", "command": command, "line": line, "name": name, "drain_s": 0}
            made = self.stack.wadah.call(
                "POST", "/stages", {**values, "environments": self.copies[name], "needs_health": True}
            )
            assert made.status == 201, made.body
            self.stages[name] = made.body["id"]
        for name in self.stages:
            self._followed(self._ask(name, "deploy", {"image": image}))
            self.runs[name] = self.digest_of(self.copies[name][0])

    def _copy(self, image: str) -> str:
        return self.stack.wadah.create(image=image, kind="app", limits=LIMITS, stop_timeout_s=0, ssh_keys=[])

    def do(self, verb: str, fault: str) -> None:
        """And what is to be so afterwards."""
        if verb == "deploy":
            self.number += 1
            image = images.web(self.hub, self.number)
            self._strike(fault)
            asked = self._ask("test", "deploy", {"image": image})
            stage = "test"
        else:
            self._strike(fault)
            asked = self._ask("test" if verb == "promote" else "production", verb, {})
            stage = "production"
        if fault.startswith("kill "):
            time.sleep(self.chance.uniform(0, 2))
            self._kill(fault)
        told = self._followed(asked)
        if not fault.startswith("kill "):
            assert len(self._file.read_text().splitlines()) < len(_VERBS), "it was never there"
        self._file.unlink(missing_ok=True)
        assert told["state"] == "succeeded", told
        digests = {self.digest_of(one) for one in self.copies[stage]}
        assert len(digests) == 1
        (found,) = digests
        if verb == "deploy":
            assert found != self.runs["test"]
        elif verb == "promote":
            assert found == self.runs["test"]
            self.before = self.runs["production"]
        else:
            assert found == self.before
        self.runs[stage] = found
        for one in self.copies[stage]:
            self.stack.wadah.wait_state(one, "running")

    def digest_of(self, copy: str) -> str:
        return str(self.stack.wadah.get(copy)["digest"])

    def _ask(self, stage: str, verb: str, values: dict[str, Any]) -> Any:
        until = time.monotonic() + PATIENCE_S
        while True:
            answer: Answer | None = None
            with suppress(OSError):
                answer = self.stack.wadah.call("POST", f"/stages/{self.stages[stage]}/{verb}", values)
            if answer is not None and answer.status == 202:
                return answer.body["operation"]
            assert answer is None or answer.status >= 500, answer.body
            assert time.monotonic() < until
            time.sleep(0.1)

    def _followed(self, operation: Any) -> Any:
        pk = operation["id"] if isinstance(operation, dict) else operation
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError):
                answer = self.stack.wadah.call("GET", f"/operations/{pk}")
                if answer.status == 200 and answer.body["state"] not in ("pending", "running"):
                    return answer.body
            assert time.monotonic() < until, "it goes on for ever"
            time.sleep(0.05)

    @property
    def _file(self) -> Path:
        return self.stack.wadah.home / "node" / "faults"

    def _strike(self, fault: str) -> None:
        if not fault.startswith("kill "):
            when, _, step = fault.partition(" ")
            self._file.write_text("".join(f"{verb} {when} kill {step}\n" for verb in _VERBS))

    def _kill(self, fault: str) -> None:
        _, role, *child = fault.split(" ")
        if child:
            self.stack.kill_child(role)
        else:
            self.stack.kill(role)

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)
        for one in self.stages.values():
            self.stack.wadah.call("DELETE", f"/stages/{one}")
        for one in (each for copies in self.copies.values() for each in copies):
            self.stack.wadah.delete(one)


@pytest.fixture(scope="module")
def line(whole: Stack) -> Iterator[Line]:
    with tempfile.TemporaryDirectory(prefix="wadah-rollouts-") as place, registry(Path(place)) as hub:
        named = whole.wadah.call(
            "POST", "/registries", {"host": hub.host, "insecure": True, "inward": True, "tenant": None}
        )
        assert named.status == 201, named.body
        one = Line(whole, hub)
        try:
            one.make()
            yield one
        finally:
            one.remove()
            whole.wadah.call("DELETE", f"/registries/{named.body['id']}")


@pytest.mark.parametrize(("verb", "fault"), FAULTS)
def test_what_is_killed_meanwhile(line: Line, verb: str, fault: str) -> None:
    line.do(verb, fault)
