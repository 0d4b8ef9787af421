"""What is heard of an app is counted as Docker counts it."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from runtime.agent.health import _Asked
from runtime.contract import (
    AppRun,
    Health,
    HealthAction,
    HealthCheck,
    HealthSeen,
    HealthState,
    ImageHealth,
    check_of,
)
from runtime.images.oci.registry import _health_of
from runtime.probes import Answer

WELL, ILL = Answer(True, ""), Answer(False, "no")


def check(**fields: Any) -> HealthCheck:
    known = {"interval_s": 30, "timeout_s": 5, "retries": 3, "start_period_s": 0, "action": HealthAction.NONE}
    return HealthCheck(tcp=80, **{**known, **fields})


def asked(**fields: Any) -> _Asked:
    values: dict[str, Any] = {
        "spec": None,
        "check": check(),
        "started_at": datetime.now(UTC).timestamp(),
        "seen": HealthSeen(state=HealthState.STARTING),
        "due": 0.0,
        "tenant_id": uuid.uuid4(),
    }
    return _Asked(**{**values, **fields})


def states(one: _Asked, *answers: Answer) -> list[str]:
    found = []
    for answer in answers:
        one.heard(answer)
        found.append(one.seen.state.value)
    return found


def test_so_many_in_a_row_make_it_unhealthy_and_one_makes_it_well() -> None:
    assert states(asked(), ILL, ILL, WELL, ILL, ILL, ILL, WELL) == [
        *("starting", "starting", "healthy", "healthy", "healthy", "unhealthy", "healthy")
    ]


def test_what_fails_while_it_starts_is_not_counted() -> None:
    one = asked(check=check(start_period_s=3600, retries=1))
    assert states(one, ILL, ILL) == ["starting", "starting"]
    assert states(one, WELL, ILL) == ["healthy", "unhealthy"], "it was up: the period is over"
    late = asked(check=check(start_period_s=1, retries=1), since=time.monotonic() - 2)
    assert states(late, ILL) == ["unhealthy"]


@pytest.mark.parametrize("step", [-86_400, 86_400, 365 * 86_400])
def test_its_start_takes_as_long_when_the_wall_clock_is_set(step: float) -> None:
    starting = asked(check=check(start_period_s=3600, retries=1))
    late = asked(check=check(start_period_s=1, retries=1), since=time.monotonic() - 2)
    with time_machine.travel(time.time() + step):
        assert states(starting, ILL) == ["starting"]
        assert states(late, ILL) == ["unhealthy"]


@pytest.mark.parametrize(
    ("said", "command", "retries"),
    [
        ({"Test": ["CMD-SHELL", "true"], "Retries": 2}, ("/bin/sh", "-c", "true"), 2),
        ({"Test": ["CMD", "/x", "y"]}, ("/x", "y"), 3),
        ({"Test": ["CMD", "/x"], "Retries": 10**9, "Interval": 1, "Timeout": 10**18}, ("/x",), 100),
        ({"Test": ["CMD", "/x"], "Retries": -5, "Interval": -1, "StartPeriod": -1}, ("/x",), 1),
    ],
)
def test_an_images_own_check_is_kept_within_bounds(said: Any, command: tuple[str, ...], retries: int) -> None:
    found = check_of(None, _health_of(said))
    assert found is not None
    assert (found.command, found.retries) == (command, retries)
    assert 5 <= found.interval_s <= 3600
    assert 1 <= found.timeout_s <= 60
    assert 0 <= found.start_period_s <= 3600


@pytest.mark.parametrize(
    "said",
    [
        *(None, 1, "x", [], {}, {"Test": None}, {"Test": []}, {"Test": ["NONE"]}, {"Test": ["CMD"]}),
        *({"Test": ["CMD-SHELL"]}, {"Test": ["CMD", 1]}, {"Test": "CMD x"}, {"Test": ["CMD", "a\0"]}),
        *({"Test": ["CMD", "x"], "Interval": "soon"}, {"Test": ["CMD", "x" * 5000]}, {"Test": ["EXEC", "x"]}),
        {"Test": ["CMD", *["x"] * 100]},
        {"Test": ["CMD", "x"], "Interval": [1]},
    ],
)
def test_an_image_that_says_nonsense_has_no_check(said: Any) -> None:
    assert _health_of(said) is None


def test_ones_own_words_stand_over_the_images() -> None:
    image = ImageHealth(command=("/x",), interval_s=60, retries=7)
    assert check_of(Health(disable=True), image) is None
    assert check_of(Health(), None) is None
    mixed = check_of(Health(action=HealthAction.RESTART, interval=10), image)
    assert mixed is not None
    assert (mixed.command, mixed.interval_s, mixed.retries) == (("/x",), 10, 7)
    own = check_of(Health(tcp=80), image)
    assert own is not None
    assert (own.command, own.tcp) == (None, 80)
    assert AppRun().health is None
