"""From counters that begin anew to what was counted since, and from a moment to its month. Pure."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

GIGABYTE = 10**9


def since(now: int, before: int | None, *, is_same_link: bool = True) -> int:
    """Bytes since the reading before. A counter that is lower, or of another link, began anew at zero.

    Without a reading before, the link was made since: all that it counted is new.
    """
    if before is None or not is_same_link or now < before:
        return now
    return now - before


def month_of(at: datetime, time_zone: str) -> date:
    """The first day of the calendar month that it is there then."""
    return at.astimezone(ZoneInfo(time_zone)).date().replace(day=1)


def next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
