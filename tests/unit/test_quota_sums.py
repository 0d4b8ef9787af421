"""What a change of a tenant's sum means above it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from panel.quotas.sums import Level, climb, promised

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def level(number: int, limit: int | None, reserved: int = 0, **more: object) -> Level:
    return Level(number, UUID(int=number), "memory_mb", limit, reserved, **more)  # type: ignore[arg-type]


def new_sums(levels: list[Level], delta: int) -> list[int]:
    moves, short = climb(levels, delta, NOW)
    assert short is None
    return [move.reserved for move in moves]


def test_without_limits_a_change_reaches_the_top() -> None:
    assert new_sums([level(3, None, 1), level(2, None, 5), level(1, None, 9)], 2) == [3, 7, 11]


def test_a_limit_was_taken_from_above_so_a_change_inside_it_ends_there() -> None:
    assert new_sums([level(3, None, 1), level(2, 10, 5), level(1, 100, 10)], 2) == [3, 7]


def test_the_first_level_without_room_is_named() -> None:
    _, short = climb([level(3, None, 1), level(2, None, 5), level(1, 8, 6)], 3, NOW)
    assert short is not None and short.level.pk == 1 and not short.by_soft


def test_what_is_held_above_a_lowered_limit_is_given_back_level_by_level() -> None:
    # 9 are held below a limit of 5 (it was lowered), so 9 are taken from above; 4 less leave 5 and free 4
    assert new_sums([level(2, 5, 9), level(1, 100, 9)], -4) == [5, 5]
    # below the limit nothing more is freed above
    assert new_sums([level(2, 5, 5), level(1, 100, 5)], -4) == [1]


def test_a_soft_limit_holds_after_its_grace_time() -> None:
    fresh = level(1, 100, 60, soft=50, grace_s=3600, soft_since=NOW - timedelta(minutes=59))
    old = level(1, 100, 60, soft=50, grace_s=3600, soft_since=NOW - timedelta(minutes=61))
    assert climb([fresh], 1, NOW)[1] is None
    short = climb([old], 1, NOW)[1]
    assert short is not None and short.by_soft
    assert climb([old], -1, NOW)[1] is None


def test_overbooking_hands_out_more_than_is_taken_from_above() -> None:
    assert new_sums([level(2, 10, 0, overbook_percent=300), level(1, 100, 10)], 30) == [30]
    _, short = climb([level(2, 10, 30, overbook_percent=300)], 1, NOW)
    assert short is not None
    assert promised(10, 30, 300) == 10 and promised(5, 30, 300) == 10
