"""Following the wall clock when it is set, by however much and in whichever direction.

Rows keep times of the wall clock. Those that something waits for (a deadline, a rest, a grace) are moved by
what the clock was moved by, so that each wait is as long as it was meant. Where nobody saw the step, as with a
clock that was lost while the machine was off, what has happened and lies ahead becomes now.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from panel.clock.models import ClockNote
from panel.clock.stamps import PAST, WAITS
from panel.clock.steady import Moment

log = structlog.get_logger()

#: Less is no step: what NTP does by and by, and what passes between two looks at two clocks.
STEP_S = 5.0
#: So much may a stamp of somebody else lie ahead.
AHEAD = timedelta(seconds=60)


def follow() -> float:
    """To be called before anything is found overdue. By how many seconds the clock was set since the last call
    on this machine; 0: it was not."""
    now = Moment.now()
    known = ClockNote.objects.filter(pk=now.boot).first()
    if known is not None and abs(now.offset_s - known.offset_s) < STEP_S:
        return 0.0
    with transaction.atomic():
        if known is None:
            ClockNote.objects.exclude(pk=now.boot).delete()
            _row, is_new = ClockNote.objects.get_or_create(pk=now.boot, defaults={"offset_s": now.offset_s})
            if is_new:
                mend_future()
            return 0.0
        row = ClockNote.objects.select_for_update().get(pk=now.boot)  # of several who see it one moves them
        step_s = now.offset_s - row.offset_s
        if abs(step_s) < STEP_S:
            return 0.0
        ClockNote.objects.filter(pk=row.pk).update(offset_s=now.offset_s)
        _move(timedelta(seconds=step_s))
    log.warning("the wall clock was set", seconds=round(step_s))
    return step_s


def _move(step: timedelta) -> None:
    for model, names in PAST:
        for name in names:
            model._default_manager.filter(**{f"{name}__isnull": False}).update(**{name: F(name) + step})
    for wait in WAITS:
        wait.rows().update(**{name: F(name) + step for name in wait.names})
    mend_future()


def mend_future(now: datetime | None = None) -> int:
    """Stamps of what has happened that lie ahead become now; how many."""
    at = now or timezone.now()
    mended = 0
    for model, names in PAST:
        for name in names:
            mended += model._default_manager.filter(**{f"{name}__gt": at + AHEAD}).update(**{name: at})
    for wait in WAITS:
        if wait.until:
            began = wait.names[0]
            for row in wait.rows().filter(**{f"{began}__gt": at + AHEAD}):
                length = getattr(row, wait.until) - getattr(row, began)
                wait.rows().filter(pk=row.pk).update(**{began: at, wait.until: at + length})
                mended += 1
    return mended
