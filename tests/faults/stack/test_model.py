"""Random sequences of what people do and what breaks, against a model of ten lines (G02).

    MODEL_EXAMPLES=50 MODEL_STEPS=40 pytest tests/faults/stack/test_model.py

CI takes a few short ones. After each step the panel and the kernel must show what the model says; after each
sequence everything must add up.
"""

import os
import time
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.support.invariants import check_invariants
from tests.faults.support.stack import Stack

_SETTLE_S = 60.0
MEMORY, DISK = st.integers(32, 96), st.integers(48, 128)


@dataclass
class Wanted:
    state: str
    memory_mb: int
    disk_mb: int
    mark: str = ""
    """What lies in a file inside; gone with a reinstall."""


class Machine(RuleBasedStateMachine):
    stack: Stack
    """Set by the test."""
    ids = Bundle("environments")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Wanted] = {}

    # what people do --------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model) < 4)
    @rule(target=ids, memory=MEMORY, disk=DISK, started=st.booleans())
    def create(self, memory: int, disk: int, started: bool) -> Any:
        values = {
            "name": f"m-{uuid.uuid4().hex[:10]}",
            "image": "busybox",
            "tenant": "demo",
            "limits": {"cpu": 1, "memory_mb": memory, "disk_mb": disk},
            "stop_timeout_s": 1,
        }
        answer = self.stack.wadah.call("POST", "/environments", values)
        assert answer.status == 202, answer.body
        pk = str(answer.body["id"])
        self.model[pk] = Wanted("running", memory, disk)
        self._agrees(pk)
        if not started:
            self._power(pk, "stop", "stopped")
        return pk

    @rule(pk=ids)
    def start(self, pk: str) -> None:
        self._power(pk, "start", "running")

    @rule(pk=ids, at_once=st.booleans())
    def stop(self, pk: str, at_once: bool) -> None:
        self._power(pk, "stop", "stopped", {"timeout_s": 0} if at_once else {})

    @rule(pk=ids)
    def restart(self, pk: str) -> None:
        self._power(pk, "restart", "running")

    @rule(pk=ids)
    def pause(self, pk: str) -> None:
        if self.model[pk].state == "stopped":
            self._refused(pk, "pause")
        else:
            self._power(pk, "pause", "paused")

    @rule(pk=ids)
    def resume(self, pk: str) -> None:
        if self.model[pk].state == "paused":
            self._power(pk, "resume", "running")
        else:
            self._refused(pk, "resume")

    @rule(pk=ids, memory=MEMORY, disk=DISK)
    def resize(self, pk: str, memory: int, disk: int) -> None:
        limits = {"memory_mb": memory, "disk_mb": disk}
        answer = self.stack.wadah.call("PATCH", f"/environments/{pk}", {"limits": limits})
        assert answer.status == 202, answer.body
        self.model[pk].memory_mb, self.model[pk].disk_mb = memory, disk
        self._agrees(pk)

    @rule(pk=ids)
    def reinstall(self, pk: str) -> None:
        self.model[pk].mark = ""
        self._power(pk, "reinstall", "running")

    @rule(pk=ids)
    def write(self, pk: str) -> None:
        if self.model[pk].state == "running":
            self.model[pk].mark = uuid.uuid4().hex
            self.stack.wadah.sh(pk, f"echo {self.model[pk].mark} > /root/mark; sync")

    @rule(pk=consumes(ids))
    def delete(self, pk: str) -> None:
        assert self.stack.wadah.call("DELETE", f"/environments/{pk}").status == 202
        self.stack.wadah.wait_gone(pk, _SETTLE_S)
        del self.model[pk]

    @rule(pk=ids)
    def change_of_mind(self, pk: str) -> None:
        """Two wishes at once: the newer one holds."""
        wadah = self.stack.wadah
        wadah.call("POST", f"/environments/{pk}/restart", {})
        self._power(pk, "stop", "stopped", {"timeout_s": 0})

    # what breaks -----------------------------------------------------------------------------------

    @rule(role=st.sampled_from(["node-worker", "node-slow", "agent", "panel-worker", "web", "redis", "beat"]))
    def kill(self, role: str) -> None:
        self.stack.kill(role)

    @rule()
    def forget_messages(self) -> None:
        self.stack.broker.flushall()

    @rule(pk=ids)
    def kill_init(self, pk: str) -> None:
        if self.model[pk].state == "running":
            known = self.stack.wadah.wait(lambda: [r for r in [self._restarts(pk)] if r is not None], 30)
            before = known[0]
            self.stack.kill_init(pk)
            self.stack.wadah.wait(lambda: (self._restarts(pk) or 0) > before, _SETTLE_S)
            self._agrees(pk)

    # what must hold --------------------------------------------------------------------------------

    def _power(self, pk: str, verb: str, state: str, values: Any = None) -> None:
        key = uuid.uuid4().hex
        until = time.monotonic() + _SETTLE_S
        while True:
            try:
                answer = self.stack.wadah.call(
                    "POST", f"/environments/{pk}/{verb}", values or {}, Idempotency_Key=key
                )
                if answer.status == 202:
                    break
                assert answer.status >= 500, answer.body
            except OSError:
                pass  # the panel itself was killed a moment ago
            assert time.monotonic() < until
            time.sleep(0.1)
        self.model[pk].state = state
        self._agrees(pk)

    def _refused(self, pk: str, verb: str) -> None:
        def answered() -> Any:
            answer = self.stack.wadah.call("POST", f"/environments/{pk}/{verb}", {})
            return answer if answer.status < 500 else None

        answer = self.stack.wadah.wait(answered, _SETTLE_S)
        assert answer.status == 409, answer.body

    def _restarts(self, pk: str) -> int | None:
        """None while the panel itself is just being started again."""
        try:
            answer = self.stack.wadah.call("GET", f"/environments/{pk}")
        except OSError:
            return None
        return int(answer.body["restarts"]) if answer.status == 200 else None

    def _agrees(self, pk: str) -> None:
        """The panel's row, and what is inside, are as the model says."""
        wadah, wanted = self.stack.wadah, self.model[pk]
        row = wadah.wait_state(pk, wanted.state, _SETTLE_S)
        assert (row["limits"]["memory_mb"], row["limits"]["disk_mb"]) == (wanted.memory_mb, wanted.disk_mb)
        if wanted.state != "running":
            return
        there = wadah.wait(lambda: self._inside(pk), _SETTLE_S)
        assert there == [str(wanted.memory_mb * 1024), wanted.mark]

    def _inside(self, pk: str) -> list[str] | None:
        """Memory as it sees it, and its mark; None while its agent is just being started again."""
        script = "awk '/^MemTotal/ {print $2}' /proc/meminfo; cat /root/mark 2>/dev/null || echo"
        try:
            answer = self.stack.wadah.call(
                "POST", f"/environments/{pk}/exec", {"command": ["/bin/sh", "-c", script]}
            )
        except OSError:
            return None
        return str(answer.body["stdout"]).split("\n")[:2] if answer.status == 200 else None

    def teardown(self) -> None:
        try:
            check_invariants(self.stack, _SETTLE_S)
        finally:
            for pk in self.model:
                self.stack.wadah.call("DELETE", f"/environments/{pk}")
            for pk in self.model:
                self.stack.wadah.wait_gone(pk, _SETTLE_S)


@pytest.mark.timeout(int(os.environ.get("MODEL_EXAMPLES", "2")) * 600)
def test_the_whole_stack_does_what_the_model_does(whole: Stack) -> None:
    class Bound(Machine):
        stack = whole

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Bound,
        settings=settings(
            max_examples=int(os.environ.get("MODEL_EXAMPLES", "2")),
            stateful_step_count=int(os.environ.get("MODEL_STEPS", "12")),
            deadline=None,
            derandomize="MODEL_EXAMPLES" not in os.environ,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
