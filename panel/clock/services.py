"""Following the wall clock when it is set, by however much and in whichever direction.

Rows keep times of the wall clock. Those that something waits for (a deadline, a rest, a grace) are moved by
what the clock was moved by, so that each wait is as long as it was meant. Where nobody saw the step, as with a
clock that was lost while the machine was off, what has happened and lies ahead becomes now; and days that a
machine was off, or its clock was set ahead by meanwhile, count for no wait. What is too much to be moved is
swept by `oldest`.
"""

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from panel.clock.models import ClockNote, ClockStep
from panel.clock.stamps import ANEW, PAST, WAITS
from panel.clock.steady import Moment

log = structlog.get_logger()

#: Less is no step: what NTP does by and by, and what passes between two looks at two clocks.
STEP_S = 5.0
#: Nobody can tell a machine that was off for longer from one whose clock is wrong now: it is taken for a step.
AWAY_S = 86_400.0
#: So old is what is known of the wall clock at most.
_NOTED_EVERY_S = 60.0
#: Steps within it are one.
_TOGETHER = timedelta(hours=1)
#: Nothing is kept for longer by its age alone.
_STEPS_KEPT = timedelta(days=800)
#: So much may a stamp of somebody else lie ahead.
AHEAD = timedelta(seconds=60)


def follow() -> float:
    """To be called before anything is found overdue. By how many seconds the clock was set since the last call
    on this machine; 0: it was not."""
    now = Moment.now()
    known = ClockNote.objects.filter(pk=now.boot).first()
    if known is not None and abs(now.offset_s - known.offset_s) < STEP_S:
        if abs(now.wall_s - known.wall_s) > _NOTED_EVERY_S:
            ClockNote.objects.filter(pk=now.boot).update(wall_s=now.wall_s)
        return 0.0
    with transaction.atomic():
        if known is None:
            return _begin(now)
        row = ClockNote.objects.select_for_update().get(pk=now.boot)  # of several who see it one moves them
        step_s = now.offset_s - row.offset_s
        if abs(step_s) < STEP_S:
            return 0.0
        ClockNote.objects.filter(pk=row.pk).update(offset_s=now.offset_s, wall_s=now.wall_s)
        _move(timedelta(seconds=step_s))
    log.warning("the wall clock was set", seconds=round(step_s))
    return step_s


def _begin(now: Moment) -> float:
    """The first look since the machine's start."""
    before = ClockNote.objects.exclude(pk=now.boot)
    last_s = max(before.values_list("wall_s", flat=True), default=0.0)
    noted = {"offset_s": now.offset_s, "wall_s": now.wall_s}
    _row, is_new = ClockNote.objects.get_or_create(pk=now.boot, defaults=noted)
    before.delete()
    if not is_new:
        return 0.0
    away_s = now.wall_s - last_s if last_s else 0.0
    if away_s <= AWAY_S:
        mend_future()
        _reckon_anew()
        return 0.0
    _move(timedelta(seconds=away_s))
    log.warning("the machine was off, or its wall clock was set meanwhile", seconds=round(away_s))
    return away_s


def oldest(kept: timedelta, now: datetime | None = None) -> datetime:
    """What was made before it is kept no longer. For rows whose stamps aren't moved with the clock: those of
    before a step forward look that much older, for as long as any of them is kept."""
    at = now or timezone.now()
    ahead_s = ClockStep.objects.filter(at__gt=at - kept).aggregate(all=Sum("seconds"))["all"] or 0.0
    return at - kept - timedelta(seconds=ahead_s)


def _note_step(step: timedelta, at: datetime) -> None:
    ClockStep.objects.filter(at__lt=at - _STEPS_KEPT).delete()
    last = ClockStep.objects.filter(at__gt=at - _TOGETHER).order_by("-at").first()
    if last is None:
        ClockStep.objects.create(at=at, seconds=step.total_seconds())
    else:
        seconds = F("seconds") + step.total_seconds()
        ClockStep.objects.filter(pk=last.pk).update(at=at, seconds=seconds)


def _move(step: timedelta) -> None:
    for model, names in PAST:
        for name in names:
            model._default_manager.filter(**{f"{name}__isnull": False}).update(**{name: F(name) + step})
    for wait in WAITS:
        wait.rows().update(**{name: F(name) + step for name in wait.names})
    if step > timedelta(0):
        _note_step(step, timezone.now())
    mend_future()
    _reckon_anew()


def _reckon_anew() -> None:
    now = timezone.now()
    for reckon in ANEW:
        reckon(now)


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
