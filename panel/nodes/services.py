"""Taking in what nodes report about themselves, and what administrators decide about them."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import dispatch, events
from panel.audit.services import record
from panel.errors import Invalid, NodeAway, NotFound, Stale
from panel.nodes.listeners import BOOTS, REPORTS
from panel.nodes.models import Node, NodeState
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import NodeReport


def observe_node(report: NodeReport) -> Node:
    """Register the node when it is new; keep its facts, pools and images as it says."""
    facts = report.facts
    with transaction.atomic():
        node, is_new = Node.objects.get_or_create(name=facts.name)
        has_booted = node.facts.get("boot_id", str(facts.boot_id)) != str(facts.boot_id)
        node.facts = facts.model_dump(mode="json")
        node.leaks = report.leaks
        node.environments_seen = report.environments
        # Our own clock: a node's may be wrong, and silence is measured here.
        node.last_seen_at = timezone.now()
        for take_in in REPORTS:
            take_in(node, report)
        node.save(update_fields=["facts", "leaks", "found", "environments_seen", "last_seen_at"])
        if is_new:
            record(None, "node.join", target=node, after={"version": facts.version})
        if has_booted:
            record(None, "node.boot", target=node, after={"boot_id": str(facts.boot_id)})
            for tell in BOOTS:
                transaction.on_commit(partial(tell, node), robust=True)
        events.publish("node", node.pk, None)
    return node


def look_around(actor: Actor, node_id: UUID) -> Node:
    """Have the node compare all that is there with all that is wanted now, not only when it is time for it."""
    actor.require(Permission.NODE_MANAGE)
    node = Node.objects.filter(pk=node_id).first()
    if node is None:
        raise NotFound(_("This node"))
    if not dispatch.ask_to_survey(node.name):
        raise NodeAway(
            _("The node %(name)s can't be asked right now.") % {"name": node.name},
            next_step=_("It looks around every 30 seconds by itself."),
        )
    return node


#: API name to column.
RATIOS = {"cpu": "cpu_ratio", "memory_mb": "memory_ratio", "disk_mb": "disk_ratio"}
_LEAST_RATIO, _MOST_RATIO = 0.1, 100.0
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def update_node(
    actor: Actor,
    node_id: UUID,
    *,
    state: str | None = None,
    overcommit: Mapping[str, float | None] | None = None,
    public_address: str | None = None,
    version: int | None = None,
) -> Node:
    """Change what is given; all of it or nothing.

    `state`: `enabled`, `draining` (gets nothing new) or `disabled`; what runs there goes on running.
    `overcommit`: how many times what it has the node may promise, for `cpu`, `memory_mb`, `disk_mb`; None: no
    bound. One below what is promised already takes nothing away: nothing new is placed there.
    `public_address`: name or address under which people reach its forwards; empty: nobody says.
    `version`: what the asker has read; `Stale` when it was changed since.
    """
    actor.require(Permission.NODE_MANAGE)
    address = None if public_address is None else _checked_address(public_address)
    if state is not None and state not in NodeState.values:
        raise Invalid(
            _("The state is one of %(nodestate)s.") % {"nodestate": ", ".join(NodeState.values)}, field="state"
        )
    _check_ratios(overcommit or {})
    with transaction.atomic():
        node = Node.objects.select_for_update().filter(pk=node_id).first()
        if node is None:
            raise NotFound(_("This node"))
        if version is not None and version != node.version:
            raise Stale
        if overcommit is not None:
            before = {name: getattr(node, RATIOS[name]) for name in overcommit}
            for name, ratio in overcommit.items():
                setattr(node, RATIOS[name], ratio)
            record(actor, "node.overcommit", target=node, before=before, after=dict(overcommit))
        if address is not None:
            before = {"public_address": node.public_address}
            record(actor, "node.address", target=node, before=before, after={"public_address": address})
            node.public_address = address
        if state is not None:
            record(actor, "node.change", target=node, before={"state": node.state}, after={"state": state})
            node.state = state
        node.version += 1
        node.save(update_fields=["state", *RATIOS.values(), "public_address", "version"])
        events.publish("node", node.pk, None)
    return node


def _checked_address(text: str) -> str:
    """A host name (RFC 1123) or an address; empty stays empty. `Invalid` for anything else."""
    found = text.strip().rstrip(".").lower()
    if not found:
        return ""
    with suppress(ValueError):
        return str(ip_address(found))
    labels = found.split(".")
    if len(found) > 253 or not all(_LABEL.fullmatch(one) for one in labels) or labels[-1].isdigit():
        raise Invalid(
            _("A public address is a host name or an address, as node.example.org or 192.0.2.7."),
            field="public_address",
        )
    return found


def _check_ratios(ratios: Mapping[str, float | None]) -> None:
    for name, ratio in ratios.items():
        if name not in RATIOS:
            known = ", ".join(RATIOS)
            raise Invalid(
                _("There is no ratio %(name)s; known are %(known)s.") % {"name": name[:40], "known": known},
                field="overcommit",
            )
        if ratio is not None and not _LEAST_RATIO <= ratio <= _MOST_RATIO:
            raise Invalid(
                _("A ratio is %(least_ratio)s to %(most_ratio)s, or null for no bound.")
                % {"least_ratio": f"{_LEAST_RATIO:g}", "most_ratio": f"{_MOST_RATIO:g}"},
                field=f"overcommit.{name}",
            )
