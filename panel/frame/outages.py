"""What doesn't work right now, in words for the banner above every page."""

import time
from dataclasses import dataclass, field
from datetime import datetime

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.circuit_breaker import BROKER
from panel.clock.steady import BEAT_KEY, age_of
from panel.environments.models import Environment
from panel.nodes.models import Node, NodeState
from panel.rights.actor import Actor

#: What one process found is good for so long, so that a page costs nothing for it.
GOOD_FOR_S = 2.0
#: Background work that was not heard of for longer than this stands still.
BEAT_LATE_S = 30.0


@dataclass
class _Seen:
    at: float = -GOOD_FOR_S
    broker_away: bool = False
    beat_late: bool = False
    silent: list[tuple[Node, datetime | None]] = field(default_factory=list)


_seen = _Seen()


def _look() -> _Seen:
    global _seen  # noqa: PLW0603 (a memory of two seconds)
    if time.monotonic() - _seen.at < GOOD_FOR_S:
        return _seen
    beat_age_s = age_of(cache.get(BEAT_KEY))
    now = timezone.now()
    nodes = Node.objects.exclude(state=NodeState.DISABLED).only("name", "state", "last_seen_at")
    _seen = _Seen(
        at=time.monotonic(),
        broker_away=BROKER.rests,
        beat_late=beat_age_s is not None and beat_age_s > BEAT_LATE_S,
        silent=[(node, node.last_seen_at) for node in nodes if not node.is_online(now)],
    )
    return _seen


def outages(actor: Actor) -> list[str]:
    """A sentence for each; of silent nodes only those that have something of the actor's."""
    seen = _look()
    found = []
    if seen.broker_away:
        found.append(
            _(
                "The message queue can't be reached right now. What you ask for is kept and is done when it is "
                "back; pages don't renew themselves."
            )
        )
    elif seen.beat_late:
        found.append(_("Background work stands still right now: what is lost on the way is not sent again."))
    for node, at in seen.silent:
        if actor.is_platform_administrator or _has_something_on(actor, node):
            since = _told(at) if at else _("the beginning")
            found.append(
                _(
                    "The node %(name)s was not heard of since %(since)s. Environments on it may well run on; "
                    "changes of them wait until it is back."
                )
                % {"name": node.name, "since": since}
            )
    return found


def _told(at: datetime) -> str:
    """By the reader's clock; with the day unless it is today's."""
    local = timezone.localtime(at)
    day = "" if local.date() == timezone.localdate() else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M %Z}"


def _has_something_on(actor: Actor, node: Node) -> bool:
    return Environment.objects.for_actor(actor).living().filter(node=node).exists()
