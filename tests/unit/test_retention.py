"""Which snapshots of a schedule stay."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from panel.storage.retention import kept

_BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def _every(step: timedelta, count: int) -> list[tuple[UUID, datetime]]:
    return [(uuid4(), _BEGIN + step * number) for number in range(count)]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ({}, 1),
        ({"last": 3}, 3),
        ({"hourly": 5}, 5),
        ({"daily": 7}, 7),
        ({"daily": 7, "weekly": 4}, 10),
        ({"monthly": 12}, 2),
        ({"last": 1, "hourly": 1, "daily": 1, "weekly": 1, "monthly": 1}, 1),
        ({"daily": 1000}, 50),
    ],
)
def test_the_newest_of_each_is_kept(keep: dict[str, int], left: int) -> None:
    taken = _every(timedelta(hours=1), 24 * 50)
    stay = kept(taken, keep, "UTC")
    assert len(stay) == left
    assert taken[-1][0] in stay


def test_none_of_none_and_the_only_one_stays() -> None:
    assert kept([], {"daily": 7}, "UTC") == set()
    one = _every(timedelta(), 1)
    assert kept(one, {}, "UTC") == {one[0][0]}


def test_a_day_is_one_of_the_tenants_zone() -> None:
    """19:00 and 21:00 UTC are two days in Jakarta (UTC+7) only if midnight lies between: 17:00 UTC."""
    early, late = (
        (uuid4(), datetime(2026, 3, 1, 16, tzinfo=UTC)),
        (uuid4(), datetime(2026, 3, 1, 18, tzinfo=UTC)),
    )
    assert kept([early, late], {"daily": 5}, "UTC") == {late[0]}
    assert kept([early, late], {"daily": 5}, "Asia/Jakarta") == {early[0], late[0]}


def test_an_hour_that_a_clock_change_has_twice_is_two() -> None:
    """In Berlin 02:30 came at 00:30 and at 01:30 UTC on 25 October 2026; it stays one day."""
    first, again = ((uuid4(), datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1))
    assert kept([first, again], {"hourly": 5}, "Europe/Berlin") == {first[0], again[0]}
    assert kept([first, again], {"daily": 5}, "Europe/Berlin") == {again[0]}
