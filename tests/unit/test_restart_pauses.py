"""What ends again and again is started ever later, whatever it asks for and however it ends."""

import time
from uuid import uuid4

import pytest

from runtime.clock import boot_id
from runtime.contract import DesiredState, EnvironmentSpec, Limits, RestartPolicy
from runtime.exits import MOST_PAUSE_S, STEADY_S, decide_restart
from runtime.kinds.base import Ending
from runtime.state import State

AT_ONCE = RestartPolicy(first_delay_s=0, max_delay_s=0)


def _delays(policy: RestartPolicy, ending: Ending, ends: int = 16) -> list[float]:
    spec = EnvironmentSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        node="node-1",
        name="web-1",
        generation=1,
        image="busybox",
        slot=1,
        desired=DesiredState.RUNNING,
        limits=Limits(cpu=1, memory_mb=64, disk_mb=64),
        restart=policy,
    )
    state = State()
    found = list[float]()
    for _ in range(ends):
        state.started_at = 4e9  # ahead: it has run for no time
        delay = decide_restart(spec, state, 1, ending)
        assert delay is not None
        found.append(delay)
    return found


@pytest.mark.parametrize("ending", [Ending.ENDED, Ending.REBOOT])
def test_a_tenant_who_asks_for_no_pause_has_a_few_starts_and_then_one(ending: Ending) -> None:
    delays = _delays(AT_ONCE, ending)
    assert delays[:3] == [0, 0, 0], "a reboot, or two, are at once"
    assert delays[-1] == MOST_PAUSE_S
    assert delays == sorted(delays)


def test_the_default_policy_is_as_it_was() -> None:
    assert _delays(RestartPolicy(), Ending.ENDED, 9) == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_clock_set_forward_is_no_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one set back a short one."""
    up_s, wall_s = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
    state = State(started_at=wall_s - 5, started_in=boot_id(), started_up_s=up_s - 5)
    monkeypatch.setattr(time, "time", lambda: wall_s + 365 * 86_400)
    assert state.ran_s() < STEADY_S
    monkeypatch.setattr(time, "time", lambda: wall_s - 365 * 86_400)
    state.started_up_s = up_s - 2 * STEADY_S
    assert state.ran_s() > STEADY_S
    before = State(started_at=wall_s - 2 * STEADY_S, started_in="another boot", started_up_s=up_s)
    monkeypatch.setattr(time, "time", lambda: wall_s)
    assert before.ran_s() > STEADY_S
