"""Which snapshots of a schedule are kept: the newest of each of the last hours, days, weeks and months."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

#: What two snapshots of the same hour, day, week or month have in common. Weeks as in ISO 8601. An hour that a
#: clock change brings twice is two: they differ in their distance from UTC.
_SAME: Mapping[str, Callable[[datetime], object]] = {
    "last": lambda at: at,
    "hourly": lambda at: (at.date(), at.hour, at.utcoffset()),
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
}


def kept(taken: Sequence[tuple[UUID, datetime]], keep: Mapping[str, int], zone: str) -> set[UUID]:
    """Those to keep. The newest is kept in any case, whatever the numbers say; none of none.

    `keep`: how many of `last`, `hourly`, `daily`, `weekly`, `monthly`. `zone`: whose hours and days they are.
    """
    local = ZoneInfo(zone)
    newest_first = sorted(taken, key=lambda one: one[1], reverse=True)
    chosen = {pk for pk, _ in newest_first[:1]}
    for name, same in _SAME.items():
        seen = set[object]()
        for pk, at in newest_first:
            if len(seen) >= keep.get(name, 0):
                break
            mark = same(at.astimezone(local))
            if mark not in seen:
                seen.add(mark)
                chosen.add(pk)
    return chosen
