"""Background work on environments: reports of nodes, and mending what a lost message left behind."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from panel import events, words
from panel.clock.services import follow, mend_future
from panel.clock.steady import BEAT_KEY, Moment
from panel.database_retry import until_stored
from panel.environments import observe as observing
from panel.environments import services
from panel.environments.features import FEATURES
from panel.environments.models import Environment
from panel.environments.services.intent import announce
from panel.nodes.models import SILENT_AFTER, Node
from panel.nodes.sealed import from_node
from panel.operations import services as operations
from panel.operations.models import OPEN_STATES, Operation, OperationState
from runtime.contract import PANEL_OBSERVE, Report

log = structlog.get_logger()

#: How often `resync` runs (`panel.config.celery`).
TICK = timedelta(seconds=2)
#: First wait before a spec is sent again; it doubles with each attempt up to the longest.
RESEND_AFTER = timedelta(seconds=4)
RESEND_AT_MOST = timedelta(seconds=120)
#: Specs sent again in one tick, so that a node that comes back isn't flooded.
_MOST_PER_TICK = 500


@shared_task(name=PANEL_OBSERVE)
@until_stored
@from_node(PANEL_OBSERVE, Report)
def observe(report: Report) -> None:
    observing.observe(report)


@shared_task(name="panel.resync")
def resync() -> None:
    """Send again what a node is behind with, and end operations that nobody will end."""
    try:
        cache.set(BEAT_KEY, Moment.now().note(), timeout=None)
    except Exception as error:  # Redis away for a moment; readiness will say so by itself
        log.warning("beat not noted", error=type(error).__name__)
    follow()
    resend_behind()
    end_overdue()
    tell_of_silent_nodes()


def resend_behind() -> int:
    """Specs that a node has not tried to its end: lost messages, a killed worker. How many were sent.

    One that failed waits for a person; one whose node is silent waits for the node.
    """
    now = timezone.now()
    behind = (
        Environment.objects.living()
        .filter(observed_generation__lt=F("generation"))
        .filter(Q(attempted_generation__lt=F("generation")) | Q(is_at_work=True))
        .filter(node__last_seen_at__gt=now - SILENT_AFTER)
        .select_related("tenant", "node")
        .order_by(F("sent_at").asc(nulls_first=True))[:_MOST_PER_TICK]
    )
    sent = 0
    for environment in behind:
        if not _is_due(environment, now):
            continue
        with transaction.atomic():
            claimed = Environment.objects.filter(
                pk=environment.pk, generation=environment.generation, send_attempts=environment.send_attempts
            ).update(sent_at=now, send_attempts=F("send_attempts") + 1)
            if claimed:
                services.resend(environment)
                sent += 1
    if sent:
        log.info("specs sent again", count=sent)
    return sent


def _is_due(environment: Environment, now: datetime) -> bool:
    """At once when it is known not to have been sent; else when neither a message nor a report is recent.

    Times that lie far ahead are a clock's that was set back: they count as long ago. Those a moment ahead
    are somebody's who looks at the same time.
    """
    if environment.sent_at is None:
        return True
    wait = min(RESEND_AFTER * 2 ** min(max(environment.send_attempts - 1, 0), 6), RESEND_AT_MOST)
    times = [
        at
        for at in (environment.sent_at, environment.heard_at)
        if at is not None and at <= now + RESEND_AT_MOST
    ]
    return not times or max(times) <= now - wait


def end_overdue() -> int:
    """Operations of environments past their deadline have failed, with the likeliest cause. How many."""
    now = timezone.now()
    open_ones = Operation.objects.filter(state__in=OPEN_STATES, generation__gt=0)
    overdue = open_ones.filter(deadline__lt=now).values_list("pk", flat=True)
    ended = 0
    for pk in list(overdue[:_MOST_PER_TICK]):
        with transaction.atomic():
            ended += _give_up(pk, now)
    return ended


def tell_of_silent_nodes() -> None:
    """Pages that are open hear of it: nothing else happens when a node falls silent."""
    now = timezone.now()
    since = now - SILENT_AFTER
    for node in Node.objects.filter(last_seen_at__lt=since, last_seen_at__gt=since - 3 * TICK):
        events.publish("node", node.pk, None)


def _give_up(operation_id: UUID, now: datetime) -> int:
    """The environment shows the cause too, so that none is "provisioning" for ever. It is asked on: when the
    node brings it about after all, both say so."""
    operation = (
        Operation.objects.select_for_update(of=("self",))
        .select_related("environment__node", "environment__tenant")
        .get(pk=operation_id)
    )
    environment = operation.environment
    if not operation.is_open:
        return 0
    silent = environment is not None and not environment.node.is_online(now)
    code = "node_silent" if silent else "deadline_passed"
    if silent and environment is not None:
        message = words.node_silent(environment.node.name)
        next_step = words.when_the_node_is_back()
    else:
        message = words.node_late()
        next_step = words.try_again_or_ask()
    operations.close(operation, OperationState.FAILED, code=code, message=message, next_step=next_step)
    if environment is not None and environment.generation == operation.generation:
        Environment.objects.filter(pk=environment.pk, generation=operation.generation).update(
            code=code, message=message, next_step=next_step, is_at_work=False
        )
        announce(environment)
    return 1


@shared_task(name="panel.release")
def release() -> None:
    """User-id ranges whose rest is over, and rows of environments deleted long ago."""
    follow()
    mend_future()
    now = timezone.now()
    rested = now - timedelta(seconds=settings.WADAH.slot_cooldown_s)
    Environment.objects.filter(deleted_at__lt=rested, slot__isnull=False).update(slot=None)
    services.end_trashed(now)
    old = now - timedelta(seconds=settings.WADAH.deleted_rows_kept_s)
    Environment.objects.filter(deleted_at__lt=old, slot=None).delete()
    for feature in FEATURES:
        feature.swept()
