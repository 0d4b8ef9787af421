"""The state of an environment: the one word that a person reads. Derived from columns, never stored.

It is defined once, as conditions of which the first that holds counts; the database asks them of all rows, and
`Environment.state` of the row in hand.
"""

from functools import reduce
from operator import or_

from django.db import models
from django.db.models import Case, CharField, F, Q, TextChoices, Value, When
from django.utils.translation import gettext_lazy as _

from panel.conditions import tester
from panel.operations.models import UNHEARD
from panel.states import Tone
from panel.tenants.models import TenantState
from runtime.contract import DesiredState, ObservedState


class State(TextChoices):
    PROVISIONING = "provisioning", _("provisioning")
    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")
    PAUSED = "paused", _("paused")
    SUSPENDED = "suspended", _("suspended")
    FAILED = "failed", _("failed")
    DELETING = "deleting", _("deleting")
    TRASHED = "trashed", _("in the trash")
    DELETED = "deleted", _("deleted")

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    State.PROVISIONING: Tone.BUSY,
    State.RUNNING: Tone.OK,
    State.STOPPED: Tone.OFF,
    State.PAUSED: Tone.WARN,
    State.SUSPENDED: Tone.WARN,
    State.FAILED: Tone.BAD,
    State.DELETING: Tone.BUSY,
    State.TRASHED: Tone.OFF,
    State.DELETED: Tone.OFF,
}


class Healthiness(TextChoices):
    """What an app's checks say of it, while it runs."""

    STARTING = "starting", _("starting")
    HEALTHY = "healthy", _("healthy")
    UNHEALTHY = "unhealthy", _("unhealthy")

    @property
    def tone(self) -> Tone:
        return {"starting": Tone.BUSY, "healthy": Tone.OK, "unhealthy": Tone.BAD}[self.value]


class LogsSent(TextChoices):
    """What came of the sending of an app's log."""

    WAITING = "waiting", _("nothing sent yet")
    SENT = "sent", _("sent")
    FAILING = "failing", _("not taken")

    @property
    def tone(self) -> Tone:
        return {"waiting": Tone.BUSY, "sent": Tone.OK, "failing": Tone.BAD}[self.value]


#: The newest intent was tried to its end, or not heard of before its deadline, and is not so.
FAILED = (
    ~Q(code="")
    & Q(is_at_work=False, observed_generation__lt=F("generation"))
    & (Q(attempted_generation__gte=F("generation")) | Q(code__in=UNHEARD))
)
_TRASHED = Q(trashed_at__isnull=False)
_RUNS = Q(observed_state__in=[ObservedState.RUNNING, ObservedState.PAUSED])
_DELETING, _IS_NEW = Q(desired_state=DesiredState.DELETED), Q(observed_generation=0)
_RULES = (
    (Q(deleted_at__isnull=False), State.DELETED),
    (_DELETING & FAILED, State.FAILED),
    (_DELETING, State.DELETING),
    (_TRASHED & FAILED, State.FAILED),
    (_TRASHED & _RUNS, State.DELETING),
    (_TRASHED, State.TRASHED),
    (_IS_NEW & FAILED, State.FAILED),
    (_IS_NEW, State.PROVISIONING),
    (Q(tenant__state=TenantState.SUSPENDED) | Q(traffic_state="suspend"), State.SUSPENDED),
    (Q(observed_state=ObservedState.FAILED), State.FAILED),
    (Q(observed_state=ObservedState.RUNNING), State.RUNNING),
    (Q(observed_state=ObservedState.STOPPED), State.STOPPED),
    (Q(observed_state=ObservedState.PAUSED), State.PAUSED),
)
_ELSE = State.PROVISIONING
_TESTS = tuple((tester(condition), state) for condition, state in _RULES)

has_failed = tester(FAILED)

#: The state as an annotation.
COLUMN = Case(
    *(When(condition, then=Value(state)) for condition, state in _RULES),
    default=Value(_ELSE),
    output_field=CharField(),
)


def of(row: models.Model) -> State:
    """Of an environment. Costs a query when `tenant` was not selected with it."""
    return next((state for holds, state in _TESTS if holds(row)), _ELSE)


def may_be(state: State) -> Q:
    """What rows of this state have in common, so that an index can find the few that are looked at closer."""
    if state is _ELSE:
        return Q()
    return reduce(or_, (condition for condition, one in _RULES if one is state))
