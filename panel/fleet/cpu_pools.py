"""Pools of processors: an administrator's to make, to change and to take away."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.audit.services import record
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid
from panel.fleet import answers, held_rows
from panel.nodes.cpu_pools import LIST, names
from panel.nodes.models import CpuPool, Node
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract.base import NAME
from runtime.contract.processors import MOST_POOLS, MOST_PROCESSORS, listed

_THIS = gettext_lazy("This pool")


def rows_of(actor: Actor) -> Sequence[CpuPool]:
    """With their nodes. `NotFound` to whoever sees no node."""
    return held_rows.rows_of(actor, CpuPool, _THIS)


def show(row: CpuPool) -> answers.CpuPool:
    return {
        "id": str(row.pk),
        "node": str(row.node_id),
        "node_name": row.node.name,
        "name": row.name,
        "processors": listed(row.processors),
        "environments": _users(row).count(),
        "held": row.name in names(row.node),
    }


def add_pool(actor: Actor, node_id: UUID, *, name: str, processors: str) -> CpuPool:
    """Whoever runs on those processors and isn't in the pool is moved away while he runs. Raises `Invalid`,
    `Conflict` for a name or a processor that is in one already."""
    actor.require(Permission.NODE_MANAGE)
    if not NAME.fullmatch(name):
        raise Invalid(
            _("A name has 1 to 63 lower-case letters, digits and hyphens, and no hyphen at either end."),
            field="name",
        )
    with transaction.atomic():
        node = held_rows.locked(node_id)
        there = list(CpuPool.objects.filter(node=node))
        if any(one.name == name for one in there):
            raise Conflict(_("There is a pool named %(name)s already.") % {"name": name}, field="name")
        if len(there) >= MOST_POOLS:
            raise Conflict(_("A node has %(most)s pools at most.") % {"most": MOST_POOLS})
        row = CpuPool(node=node, name=name, processors=_free(node, processors, there))
        row.save(force_insert=True)
        LIST.changed(node)
        record(actor, "cpu-pool.create", target=row, after=_audited(row))
    return row


def change_pool(actor: Actor, pool_id: UUID, *, processors: str) -> CpuPool:
    """Who is in it is moved while he runs, and so is who isn't."""
    with transaction.atomic():
        row = held_rows.found(actor, CpuPool, pool_id, _THIS)
        node = held_rows.locked(row.node_id)
        before, others = _audited(row), CpuPool.objects.filter(node=node).exclude(pk=row.pk)
        row.processors = _free(node, processors, others)
        if _audited(row) != before:
            row.save(update_fields=["processors"])
            LIST.changed(node)
            record(actor, "cpu-pool.change", target=row, before=before, after=_audited(row))
    return row


def delete_pool(actor: Actor, pool_id: UUID) -> None:
    """Raises `Conflict` while an environment is in it."""
    with transaction.atomic():
        row = held_rows.found(actor, CpuPool, pool_id, _THIS)
        node = held_rows.locked(row.node_id)
        if first := _users(row).order_by("name").first():
            raise Conflict(
                _("%(name)s is in this pool, and %(more)s more.")
                % {"name": first.name, "more": _users(row).count() - 1},
                code="in_use",
                next_step=_("Take them out of it first."),
            )
        record(actor, "cpu-pool.delete", target=row, before=_audited(row))
        row.delete()
        LIST.changed(node)


def _users(row: CpuPool) -> "models.QuerySet[Environment]":
    return Environment.objects.living().filter(node=row.node_id, intent__cpu_pool=row.name)


def _audited(row: CpuPool) -> dict[str, str]:
    return {"node": row.node.name, "name": row.name, "processors": listed(row.processors)}


def _free(node: Node, text: str, others: Iterable[CpuPool]) -> list[int]:
    """The numbers, of which none is in another pool, and which leave one at least to whoever is in none."""
    numbers, count = read(text), node.facts.get("cpus", 0)
    if numbers[-1] >= count:
        raise Invalid(
            _("%(node)s has processors 0 to %(last)s.") % {"node": node.name, "last": count - 1},
            field="processors",
        )
    taken = {number: one.name for one in others for number in one.processors}
    for number in numbers:
        if number in taken:
            raise Conflict(
                _("Processor %(number)s is in the pool %(name)s.") % {"number": number, "name": taken[number]},
                field="processors",
            )
    if len(taken) + len(numbers) >= count:
        raise Invalid(
            _("One processor at least stays for those that are in no pool."),
            field="processors",
        )
    return numbers


def read(text: str) -> list[int]:
    """`2-3,6`, as cpuset(7) writes a list."""
    found: set[int] = set()
    try:
        for part in text.replace(" ", "").split(","):
            low, _dash, high = part.partition("-")
            first, last = int(low), int(high or low)
            if not 0 <= first <= last < MOST_PROCESSORS:
                raise ValueError
            found |= set(range(first, last + 1))
    except ValueError:
        raise Invalid(_("Processors are written by number: 2-3,6."), field="processors") from None
    return sorted(found)
