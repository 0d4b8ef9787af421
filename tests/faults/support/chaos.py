"""One fault at a time into a working installation: an operation is asked for, something is killed, and then it
is looked at what became of both."""

import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.support import Answer
from tests.faults.support.invariants import violations
from tests.faults.support.stack import Stack

#: Steps of a node's work where its process may be killed (the names that people see).
STEPS = (
    "id range",
    "monitor",
    "limits (cgroup)",
    "root volume",
    "namespaces",
    "id-mapped root",
    "OCI bundle",
    "container",
    "guest files",
    "firewall",
    "network link",
    "addresses and routes",
    "network rate",
    "init process",
    "start",
)
ROLES = ("node-worker", "node-slow", "agent", "panel-worker", "beat", "web", "uploads", "ws", "redis")
OPERATIONS = ("create", "delete", "resize", "reinstall", "restart", "stop", "start")
#: Until an operation has ended and everything adds up again; far more than it takes, for busy machines.
PATIENCE_S = 120.0
#: Environments that the operations are chosen from.
HERD = 5
LIMITS = {"cpu": 1, "memory_mb": 64, "disk_mb": 64}


@dataclass
class Outcome:
    """What one fault did."""

    operation: str
    fault: str
    state: str = "lost"
    """Of the operation at the end: `succeeded`, `failed`, `cancelled`, still open, or `lost`."""
    code: str = ""
    recovered_s: float = 0.0
    """From the fault until the operation had ended."""
    wrong: list[str] = field(default_factory=list)
    """What was not as it must be, after all patience."""

    @property
    def is_stuck(self) -> bool:
        return self.state in ("pending", "running")

    @property
    def leaks(self) -> int:
        return sum(one.startswith(("leak", "the node has")) for one in self.wrong)


class Chaos:
    def __init__(self, stack: Stack, seed: int):
        self.stack = stack
        self.random = random.Random(seed)
        self._herd: list[str] = []

    # one fault -------------------------------------------------------------------------------------

    def run(self, operation: str = "", fault: str = "") -> Outcome:
        """`fault`: `kill <role>`, `kill <role> child`, `kill conmon`, or `step <before|after> <name>`; either
        one is drawn where it is empty."""
        self._fill()
        chosen = operation or self.random.choice(OPERATIONS)
        what = fault or self._any_fault()
        outcome = Outcome(chosen, what)
        target = None if chosen == "create" else self.random.choice(self._herd)
        self._make_ready(chosen, target)
        if what.startswith("step "):
            self._arm(chosen, what)
            asked = self._ask(chosen, target)
            hit = time.monotonic()
        else:
            asked = self._ask(chosen, target)
            time.sleep(self.random.uniform(0, 0.15))
            hit = time.monotonic()
            self._strike(what, target)
        self._follow(outcome, asked, hit)
        self._disarm()
        self._settle(outcome, chosen, target, asked)
        return outcome

    def _any_fault(self) -> str:
        kinds: list[Callable[[], str]] = [
            lambda: f"kill {self.random.choice(ROLES)}",
            lambda: f"kill {self.random.choice(('node-worker', 'panel-worker', 'web'))} child",
            lambda: "kill conmon",
            lambda: f"step {self.random.choice(('before', 'after'))} {self.random.choice(STEPS)}",
            lambda: f"step {self.random.choice(('before', 'after'))} {self.random.choice(STEPS)}",
        ]
        return self.random.choice(kinds)()

    # the operation ---------------------------------------------------------------------------------

    def _fill(self) -> None:
        while len(self._herd) < HERD:
            self._herd.append(self.stack.wadah.create(limits=LIMITS, stop_timeout_s=1))

    def _make_ready(self, operation: str, target: str | None) -> None:
        """So that the operation has something to do."""
        wadah = self.stack.wadah
        if target is None:
            return
        wanted = "stopped" if operation == "start" else "running"
        if wadah.get(target)["state"] != wanted:
            verb, values = ("stop", {"timeout_s": 0}) if wanted == "stopped" else ("start", {})
            wadah.call("POST", f"/environments/{target}/{verb}", values)
            wadah.wait_state(target, wanted, PATIENCE_S)

    def _ask(self, operation: str, target: str | None) -> Any:
        """The answer's body. Asked again with the same key while the panel itself is what was killed."""
        key = uuid.uuid4().hex
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = self._call(operation, target, key)
            if answer is not None and answer.status == 202:
                return answer.body
            assert answer is None or answer.status >= 500 or answer.status == 409, answer.body
            assert time.monotonic() < until, f"not taken: {answer}"
            time.sleep(0.1)

    def _call(self, operation: str, target: str | None, key: str) -> Answer | None:
        wadah = self.stack.wadah
        path = f"/environments/{target}"
        with suppress(OSError):
            if operation == "create":
                values = {"name": f"c-{key[:12]}", "image": "busybox", "tenant": "demo", "limits": LIMITS}
                return wadah.call("POST", "/environments", {**values, "stop_timeout_s": 1}, Idempotency_Key=key)
            if operation == "delete":
                return wadah.call("DELETE", path)
            if operation == "resize":
                limits = {"memory_mb": self.random.randrange(48, 96), "disk_mb": self.random.randrange(64, 128)}
                return wadah.call("PATCH", path, {"limits": limits})
            return wadah.call("POST", f"{path}/{operation}", {}, Idempotency_Key=key)
        return None

    def _follow(self, outcome: Outcome, asked: Any, hit: float) -> None:
        """Until the operation has ended, or patience is over."""
        operation = asked.get("operation") or {}
        pk = operation.get("id") if isinstance(operation, dict) else operation
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with suppress(OSError):
                answer = self.stack.wadah.call("GET", f"/operations/{pk}")
                if answer.status == 200:
                    outcome.state, outcome.code = answer.body["state"], answer.body["code"]
                    if not outcome.is_stuck:
                        break
            time.sleep(0.03)
        outcome.recovered_s = time.monotonic() - hit

    def _settle(self, outcome: Outcome, operation: str, target: str | None, asked: Any) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                outcome.wrong = violations(self.stack)
            except (OSError, AssertionError) as error:
                outcome.wrong = [f"can't be looked at: {error}"]
            if not outcome.wrong or time.monotonic() > until:
                break
            time.sleep(0.1)
        if operation == "create":
            self._herd.append(asked["id"])
        elif operation == "delete" and target is not None:
            self._herd.remove(target)
        while len(self._herd) > HERD:
            self.stack.wadah.delete(self._herd.pop(0))

    # the fault -------------------------------------------------------------------------------------

    @property
    def _file(self) -> Path:
        return self.stack.wadah.home / "node" / "faults"

    def _arm(self, operation: str, fault: str) -> None:
        _, when, name = fault.split(" ", 2)
        verb = "remove" if operation in ("delete", "stop") else "ensure"
        self._file.write_text(f"{verb} {when} kill {name}\n")

    def _disarm(self) -> None:
        self._file.unlink(missing_ok=True)

    def _strike(self, fault: str, target: str | None) -> None:
        words = fault.split(" ")
        if words[1] == "conmon":
            self._kill_monitor(target)
        elif words[-1] == "child":
            with suppress(AssertionError):
                self.stack.kill_child(words[1])
        else:
            self.stack.kill(words[1])

    def _kill_monitor(self, target: str | None) -> None:
        """The console monitor of the environment that is worked on, or of any."""
        name = uuid.UUID(target or self._herd[0]).hex.encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                if (entry / "comm").read_bytes() == b"conmon\n" and name in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)

    def close(self) -> None:
        self._disarm()
        for one in self._herd:
            with suppress(AssertionError):
                self.stack.wadah.delete(one)
