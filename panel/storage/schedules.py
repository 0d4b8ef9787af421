"""Schedules: set, due, carried out. The beat comes by every half minute (`Storage.swept`)."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim, CronSimError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.services.intent import advance
from panel.errors import Invalid, NotFound, Refused
from panel.operations.models import OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.models import KEEPS, Of, Proves, Reason, Schedule, Snapshot, Takes
from panel.storage.retention import kept
from panel.storage.services import add_snapshot
from panel.tenants.models import Tenant, TenantState
from runtime.contract import DesiredState

log = structlog.get_logger()

#: Of each sort: more than a year of days helps nobody, and each is a subvolume of the node's pool.
MOST_KEPT = 100
#: So often it may be; what is asked for more often than the beat looks would run late in any case.
LEAST_MINUTES = 15
#: Of one look of the beat.
_MOST_AT_ONCE, _MOST_LOOKED_AT = 100, 20_000
#: A clock that is set back by less makes none run twice.
_RAN_AHEAD = timedelta(hours=1)


RowT = TypeVar("RowT", bound=Model)


class Sort(Protocol[RowT]):
    """What schedules of one sort take."""

    def changeable(self, actor: Actor, pk: UUID) -> RowT:
        """What the schedule is of, where the actor may schedule it. Raises `NotFound` or `Forbidden`."""

    def target_of(self, row: RowT, text: str) -> UUID | None:
        """Where it goes, by id or name. Raises a `Refused`."""

    def waiting(self) -> QuerySet[Any, Any]:
        """Ids of those of which one is being made, or none can be now: never two at a time."""

    def locked(self, pk: UUID) -> RowT | None:
        """None: it is gone."""

    def is_going(self, row: RowT) -> bool:
        """Nothing is taken of it any more."""

    def take(self, schedule: Schedule, row: RowT) -> None:
        """One more of a locked row. Raises a `Refused`."""


#: By what they are of and what they take; filled by whoever has such, when its app is ready.
SORTS: dict[tuple[str, str], Sort[Any]] = {}


def next_run(cron: str, zone: str, after: datetime) -> datetime:
    """The first time after it, by the clock of the zone. Raises `Invalid` for what is no schedule."""
    try:
        if len(cron.split()) != 5:
            raise CronSimError
        return next(CronSim(cron, after.astimezone(ZoneInfo(zone))))
    except (CronSimError, StopIteration) as error:
        raise Invalid(
            _("A schedule has five fields: minute, hour, day of the month, month, day of the week."),
            field="cron",
            next_step=_("“0 3 * * *” is every night at three."),
        ) from error


def set_schedule(
    actor: Actor,
    subject_id: UUID,
    *,
    cron: str,
    of: str = Of.ENVIRONMENT,
    keep: Mapping[str, int] | None = None,
    is_on: bool = True,
    takes: str = Takes.SNAPSHOTS,
    target: str = "",
    proves: str = Proves.NEVER,
) -> Schedule:
    """The schedule of the environment or volume is this one from now on; what `keep` doesn't name isn't kept
    for it. `target`: where backups go, by id or name."""
    sort = _sort(of, takes)
    row = sort.changeable(actor, subject_id)
    to = sort.target_of(row, target)
    if proves not in Proves.values or (proves != Proves.NEVER and to is None):
        raise Invalid(
            _("What is proved of backups is one of %(names)s.") % {"names": ", ".join(Proves.values)},
            field="proves",
        )
    text = " ".join(cron.split())
    now = timezone.now()
    first = next_run(text, row.tenant.time_zone, now)
    _refuse_often(text, row.tenant.time_zone, first)
    numbers = _numbers(keep)
    with transaction.atomic():
        schedule, is_new = Schedule.objects.select_for_update().update_or_create(
            **{str(of): row},
            takes=takes,
            defaults={
                "tenant": row.tenant,
                "target": to,
                "proves": proves,
                "cron": text,
                "is_on": is_on,
                "next_at": first,
                "problem": "",
                **{f"keep_{name}": number for name, number in numbers.items()},
            },
        )
        record(
            actor,
            "schedule.create" if is_new else "schedule.update",
            tenant_id=row.tenant_id,
            target=row,
            after={
                "takes": str(takes),
                "cron": text,
                "keep": numbers,
                "is_on": is_on,
                **({"target": str(to), "proves": str(proves)} if to is not None else {}),
            },
        )
    return schedule


def _sort(of: str, takes: str) -> Sort[Any]:
    if (of, takes) not in SORTS:
        names = sorted({name for _of, name in SORTS})
        raise Invalid(_("A schedule takes %(names)s.") % {"names": ", ".join(names)}, field="takes")
    return SORTS[of, takes]


def _refuse_often(cron: str, zone: str, first: datetime) -> None:
    second = next_run(cron, zone, first)
    if (second - first).total_seconds() < LEAST_MINUTES * 60:
        raise Invalid(
            _("A schedule runs every %(minutes)s minutes at most.") % {"minutes": LEAST_MINUTES}, field="cron"
        )


def _numbers(keep: Mapping[str, int] | None) -> dict[str, int]:
    asked = dict(keep or {})
    for name, number in asked.items():
        if name not in KEEPS:
            raise Invalid(
                _("keep takes %(names)s, not %(name)s.") % {"names": ", ".join(KEEPS), "name": str(name)[:32]},
                field="keep",
            )
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST_KEPT:
            raise Invalid(
                _("keep.%(name)s is a number from 0 to %(most)s.") % {"name": name, "most": MOST_KEPT},
                field="keep",
            )
    return {name: asked.get(name, 0) for name in KEEPS}


def delete_schedule(
    actor: Actor, subject_id: UUID, takes: str = Takes.SNAPSHOTS, *, of: str = Of.ENVIRONMENT
) -> None:
    """What it took stays. Raises `NotFound` when there is none."""
    row = _sort(of, takes).changeable(actor, subject_id)
    with transaction.atomic():
        if not Schedule.objects.filter(**{str(of): row}, takes=takes).delete()[0]:
            raise NotFound(_("This schedule"))
        record(actor, "schedule.delete", tenant_id=row.tenant_id, target=row, before={"takes": str(takes)})


def run_due(now: datetime | None = None) -> int:
    """Takes what is due, each once however often it was missed; how many were taken. What is in the trash
    waits: it is made up for once when it is back."""
    at = now or timezone.now()
    due = Schedule.objects.filter(is_on=True, next_at__lte=at, environment__trashed_at=None)
    for (of, takes), sort in SORTS.items():  # of nodes that are away: they hold up no others
        due = due.exclude(takes=takes, **{f"{of}__in": sort.waiting()})
    taken = 0
    rows = due.order_by("next_at", "pk").values_list("pk", "tenant__path")[:_MOST_LOOKED_AT]
    for pk in list(islice(_in_turn(rows), _MOST_AT_ONCE)):
        try:
            taken += _run(pk, at)
        except Exception:  # the edge: one environment's trouble keeps no other from its snapshot
            log.exception("schedule not run", schedule=str(pk))
            later = at + timedelta(minutes=LEAST_MINUTES)
            Schedule.objects.filter(pk=pk).update(next_at=later)
    return taken


def _in_turn(rows: Iterable[tuple[UUID, str]]) -> Iterator[UUID]:
    """Schedules, one of each top tenant in turn: thousands of one's hold up nobody else's."""
    waiting: dict[str, deque[UUID]] = {}
    for pk, path in rows:
        waiting.setdefault(path.partition("/")[0], deque()).append(pk)
    while waiting:
        for top, own in list(waiting.items()):
            yield own.popleft()
            if not own:
                del waiting[top]


def _run(schedule_id: UUID, now: datetime) -> int:
    known = Schedule.objects.filter(pk=schedule_id).first()
    if known is None:
        return 0
    sort = _sort(known.of, known.takes)
    with transaction.atomic():
        row = sort.locked(known.subject_id)
        due = Schedule.objects.select_for_update().filter(pk=schedule_id, is_on=True, next_at__lte=now)
        schedule = due.first() if row is not None else None
        if row is None or schedule is None or sort.waiting().filter(**{known.of: row}).exists():
            return 0  # never two at a time: it is looked at again
        schedule.next_at = next_run(schedule.cron, row.tenant.time_zone, now)
        schedule.last_at, schedule.problem = now, ""
        taken = 0
        if not sort.is_going(row) and row.tenant.state == TenantState.ACTIVE:
            try:
                with transaction.atomic():
                    _take(schedule, row)
                taken = 1
            except Refused as refusal:
                schedule.problem = f"{refusal.message} {refusal.next_step}".strip()[:300]
                log.warning("schedule not kept", takes=schedule.takes, of=str(row.pk), code=refusal.code)
        schedule.save(update_fields=["next_at", "last_at", "problem"])
    return taken


def _take(schedule: Schedule, row: Any) -> None:
    _sort(schedule.of, schedule.takes).take(schedule, row)


class OfEnvironments:
    """What sorts of environments have in common."""

    permission: Permission

    def changeable(self, actor: Actor, pk: UUID) -> Environment:
        row = Environment.objects.select_related("tenant").get_for(actor, pk)
        actor.require(self.permission, row)
        return row

    def locked(self, pk: UUID) -> Environment | None:
        rows = Environment.objects.in_use().select_related("tenant", "node", "plan_version__plan")
        return rows.select_for_update(of=("self",)).filter(pk=pk).first()

    def is_going(self, row: Environment) -> bool:
        return row.desired_state == DesiredState.DELETED


class SnapshotsByTime(OfEnvironments):
    """The `Sort` of environments' snapshots."""

    permission = Permission.SNAPSHOT_MANAGE

    def target_of(self, row: Environment, text: str) -> None:
        if text:
            raise Invalid(
                _("Snapshots lie on the environment's own node: they have no target."), field="target"
            )

    def waiting(self) -> QuerySet[Any, Any]:
        return Snapshot.objects.open().values("environment")

    def take(self, schedule: Schedule, row: Environment) -> None:
        _take_snapshot(schedule, row)


SORTS[Of.ENVIRONMENT, Takes.SNAPSHOTS] = SnapshotsByTime()


def numbers_of(schedule: Schedule) -> dict[str, int]:
    """How many of each sort it keeps."""
    return {name: getattr(schedule, f"keep_{name}") for name in KEEPS}


def _take_snapshot(schedule: Schedule, row: Environment) -> None:
    """One more, and those go that are kept for nothing any more: in one change of the environment."""
    made = add_snapshot(None, row, "", Reason.SCHEDULE)
    mine = Snapshot.objects.wanted().filter(environment=row, reason=Reason.SCHEDULE)
    stay = kept([(one.pk, one.created_at) for one in mine], numbers_of(schedule), row.tenant.time_zone)
    gone = mine.exclude(pk__in=stay).exclude(made_at=None)
    count = gone.update(removal=row.generation + 1)
    details: dict[str, Any] = {"snapshot": str(made.pk), "name": made.name, "scheduled": True, "deleted": count}
    operation = advance(None, row, OperationKind.SNAPSHOT, details=details)
    record(
        None,
        "environment.snapshot",
        tenant_id=row.tenant_id,
        target=row,
        after=details,
        operation_id=operation.pk,
    )


def retime(tenant: Tenant, now: datetime | None = None) -> None:
    """The tenant's clock is another one: the times of its schedules with it."""
    at = now or timezone.now()
    for one in Schedule.objects.filter(tenant=tenant):
        Schedule.objects.filter(pk=one.pk).update(next_at=next_run(one.cron, tenant.time_zone, at))


def bring_nearer(now: datetime) -> None:
    """The wall clock was set: schedules that would wait for longer than until their next time run then. What is
    due stays due, and what ran less than an hour ahead of now isn't run for the same time twice."""
    ahead = Schedule.objects.filter(next_at__gt=now).select_related("tenant").order_by()
    for one in ahead.iterator():
        ran_ahead = one.last_at is not None and now < one.last_at <= now + _RAN_AHEAD
        after = one.last_at if ran_ahead and one.last_at is not None else now
        with suppress(Invalid):
            first = next_run(one.cron, one.tenant.time_zone, after)
            if first < one.next_at:
                Schedule.objects.filter(pk=one.pk, next_at=one.next_at).update(next_at=first)
