"""Opening and closing operations. Retry and cancel: `control`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import BigIntegerField, Count, Q, QuerySet, UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events, words
from panel.clock.services import oldest
from panel.errors import TooMany
from panel.operations.models import OPEN_STATES, UNHEARD, Operation, OperationKind, OperationState, SubjectType
from panel.prepared import Given, Prepared, PreparedUpdate
from panel.rights.actor import Actor
from runtime.contract.said import NOTHING, Said
from runtime.contract.transport import ASKED, MANY

#: How long after the node's own deadline a report may still be under way.
GRACE = timedelta(seconds=30)
DEADLINE = timedelta(seconds=300)
#: Rows that are dropped in one transaction.
_PIECE = 500
#: Open operations of one tenant that are as urgent as anybody's.
SHARE = 10

_OPEN = Prepared(
    lambda: (
        Operation.objects.filter(tenant=Given("tenant", UUIDField()), state__in=OPEN_STATES)
        .order_by()
        .values("tenant")
        .annotate(count=Count("pk"))
        .values_list("count", flat=True)
    )
)
_GIVEN_UP = Q(state=OperationState.FAILED, code__in=UNHEARD, generation=Given("generation", BigIntegerField()))
_CLOSED = (
    "state",
    "finished_at",
    "code",
    "message",
    "next_step",
    "is_retryable",
    "steps",
    "started_at",
)
_CLOSE = PreparedUpdate.of_row(Operation, _CLOSED)
_TOUCHED = Prepared(
    lambda: Operation.objects.filter(
        Q(state__in=OPEN_STATES) | _GIVEN_UP,
        environment=Given("environment", UUIDField()),
        generation__gt=0,
    ).order_by("generation")
)


@dataclass(frozen=True)
class Subject:
    """What an operation is about."""

    type: SubjectType
    id: str
    name: str
    tenant_id: UUID | None
    """None: something of the whole installation."""
    environment_id: UUID | None = None


def admit(actor: Actor | None, tenant_id: UUID | None) -> int:
    """How urgent one more operation of this tenant is, as a priority of the broker.

    A tenant's first few go ahead of what others ask for in bulk, so that thousands of one tenant's hold up
    nobody else. `TooMany` when the tenant has as many open as it may; the panel's own are never refused, nor
    what administrators ask for of the installation (`tenant_id` None).
    """
    if actor is None:
        return MANY
    if tenant_id is None:
        return ASKED
    count = _OPEN.first(tenant=tenant_id) or 0
    most = settings.WADAH.tenant_open_operations
    if count >= most:
        raise TooMany(
            _("%(count)s operations of this tenant are under way or wait; at most %(most)s may at once.")
            % {"count": count, "most": most},
            next_step=_("Wait until some have ended, then ask again."),
        )
    return ASKED if count < SHARE else MANY


def open_operation(
    actor: Actor | None,
    subject: Subject,
    kind: OperationKind,
    *,
    generation: int = 0,
    within: timedelta = DEADLINE,
    details: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    retry_of: Operation | None = None,
) -> Operation:
    """A pending operation, which the caller saves. `generation`: of the intent that it asks for; `within`: so
    long it may take."""
    now = timezone.now()
    return Operation(
        tenant_id=subject.tenant_id,
        subject_type=subject.type,
        subject_id=subject.id,
        subject_name=subject.name,
        environment_id=subject.environment_id,
        kind=kind,
        generation=generation,
        who=actor.user if actor else None,
        who_name=actor.name if actor else "wadah",
        from_where=actor.address if actor else "",
        deadline=now + within + GRACE,
        details=details or {},
        before=before or {},
        retry_of=retry_of,
    )


def announce(operation: Operation) -> None:
    events.publish(
        "operation",
        operation.pk,
        operation.tenant_id,
        environment=str(operation.environment_id) if operation.environment_id else None,
        generation=operation.generation,
        state=operation.state,
    )


def close(
    operation: Operation,
    state: OperationState,
    *,
    code: str = "",
    message: Said = NOTHING,
    next_step: Said = NOTHING,
    is_retryable: bool = True,
) -> None:
    """End an open operation; a no-op on one that has ended."""
    if not operation.is_open:
        return
    operation.code, operation.message, operation.next_step = code, message, next_step
    operation.is_retryable = is_retryable
    _end(operation, state)


def close_late(operation: Operation) -> None:
    """What was given up as not heard of has been brought about after all."""
    if operation.state == OperationState.FAILED and operation.code in UNHEARD:
        operation.code, operation.next_step = "", NOTHING
        operation.message = words.done_late()
        _end(operation, OperationState.SUCCEEDED)


def note_undone(undo: Operation) -> None:
    """The operation that `undo` took back ends its story: what it had made is gone."""
    cancelled = Operation.objects.filter(
        pk=undo.details.get("undoes"), state=OperationState.CANCELLED, environment=undo.environment
    ).first()
    if cancelled is not None:
        left = words.nothing_of_it_is_left() if undo.kind == OperationKind.DELETE else words.all_as_before()
        Operation.objects.filter(pk=cancelled.pk).update(message=words.and_then(cancelled.message, left))
        announce(cancelled)


def _end(operation: Operation, state: OperationState) -> None:
    operation.state = state
    operation.finished_at = timezone.now()
    _CLOSE.run(pk=operation.pk, **{name: getattr(operation, name) for name in _CLOSED})
    announce(operation)


def touched_by(environment_id: UUID, generation: int) -> list[Operation]:
    """Those of its intent that are open, and of this generation one that was given up without having been heard
    of."""
    return _TOUCHED.all(environment=environment_id, generation=generation)


def forget_past() -> int:
    """Drops operations that ended long ago, and of each tenant all but the newest; how many. In pieces, so that
    nobody waits long for the database."""
    old = oldest(timedelta(days=settings.WADAH.operations_kept_days))
    ended = Operation.objects.exclude(state__in=OPEN_STATES).order_by()
    count = _drop(ended.filter(created_at__lt=old))
    many = ended.values("tenant").annotate(count=Count("pk")).filter(count__gt=settings.WADAH.operations_kept)
    for tenant_id in many.values_list("tenant", flat=True):
        own = ended.filter(tenant=tenant_id)
        newest = own.order_by("-created_at").values_list("created_at", flat=True)
        count += _drop(own.filter(created_at__lt=newest[settings.WADAH.operations_kept - 1]))
    return count


def _drop(rows: QuerySet[Operation]) -> int:
    count = 0
    while pks := list(rows.values_list("pk", flat=True)[:_PIECE]):
        count += Operation.objects.filter(pk__in=pks).delete()[0]
    return count
