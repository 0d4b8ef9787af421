"""Which node a new environment goes to."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import BigIntegerField, CharField, DateTimeField, F, IntegerField, UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.errors import Invalid, NoRoom, Refused
from panel.images.models import NodeImage
from panel.nodes import cpu_pools
from panel.nodes import host_devices as of_hosts
from panel.nodes.matrix import why_not
from panel.nodes.models import Node, NodeState
from panel.prepared import Given, Prepared, PreparedUpdate
from runtime.contract import NO_IMAGE, Kernel, Kind, Limits, wants_of

_MIB = 2**20
#: Part of the pool that stays free, so that running environments can go on writing metadata.
POOL_RESERVE = 0.05

_READY = Prepared(
    lambda: NodeImage.objects.filter(
        image__name=Given("image", CharField()),
        observed_revision__gt=0,
        is_wanted=True,
    ).values_list("node_id", flat=True)
)
_SLOTS_TAKEN = Prepared(
    lambda: (
        Environment.objects.filter(
            node=Given("node", UUIDField()),
            slot__range=(Given("low", IntegerField()), Given("high", IntegerField())),
        )
        .order_by()
        .values_list("slot", flat=True)
    )
)
_RESTED = Prepared(
    lambda: (
        Environment.objects.filter(
            node=Given("node", UUIDField()), slot__isnull=False, deleted_at__lt=Given("before", DateTimeField())
        )
        .order_by("deleted_at")
        .values_list("pk", "slot")[:1]
    )
)


#: Ranges of user ids that are looked at in one query.
_SLOTS_AT_ONCE = 64
_COUNTED = ("reserved_cpu", "reserved_memory_mb", "reserved_disk_mb")
#: Above all that a column can hold.
_NO_BAR = 2**62
_TAKE = PreparedUpdate(
    lambda: Node.objects.filter(
        pk=Given("pk", UUIDField()),
        **{f"{name}__lte": Given(f"{name}_most", BigIntegerField()) for name in _COUNTED},
    ),
    lambda: {name: F(name) + Given(name, BigIntegerField()) for name in (*_COUNTED, "placed")},
)


@dataclass(frozen=True)
class Candidate:
    """What the choice is made from: plain numbers, so that it is tested without a database."""

    node: Node
    has_image: bool
    is_online: bool


def choose(
    candidates: Sequence[Candidate],
    *,
    kind: Kind,
    kernel: Kernel,
    image: str,
    limits: Limits,
    devices: Sequence[str] = (),
    host_devices: Sequence[str] = (),
    cpu_pool: str = "",
    needs_image: bool = True,
) -> Node:
    """The least loaded node that can take it; raises `Invalid` or `NoRoom` with the first cause found."""
    able = [c for c in candidates if c.node.state == NodeState.ENABLED]
    if not able:
        raise NoRoom(
            _("No node has joined this installation yet, or all are disabled."),
            code="no_node",
            next_step=_("An administrator sees the nodes' page for the cause."),
        )
    able = [c for c in able if c.is_online]
    if not able:
        raise NoRoom(
            _("No node was heard of in the last 45 seconds."),
            code="no_node",
            next_step=_("An administrator looks at the node's worker and agent."),
        )
    able = [c for c in able if kind in c.node.facts["kinds"]]
    if not able:
        raise Invalid(_("No node can run environments of kind %(kind)s.") % {"kind": kind}, field="kind")
    able = _on_kernel(able, kind, kernel, limits.memory_mb)
    able = _with_devices(able, kernel, devices, host_devices)
    able = [c for c in able if cpu_pools.has(c.node, cpu_pool)]
    if not able:
        raise Invalid(
            _("No node has a pool of processors named %(pool)s.") % {"pool": cpu_pool}, field="cpu_pool"
        )
    if needs_image and (kind, image) != (Kind.JAIL, NO_IMAGE) and wants_of(kind).has_accounts:
        able = [c for c in able if c.has_image]
    if not able:
        raise Invalid(
            _("The image %(image)s is not ready on any node.") % {"image": image[:64]},
            field="image",
            code="unknown_image",
            next_step=_("See the list of images for what is ready."),
        )
    return _with_room(able, limits)


def _with_devices(
    able: list[Candidate], kernel: Kernel, devices: Sequence[str], host_devices: Sequence[str]
) -> list[Candidate]:
    if (devices or host_devices) and kernel is not Kernel.SHARED:
        raise Invalid(
            _("Devices of the node are given to environments on the host's kernel only."),
            field="devices" if devices else "host_devices",
            code="kernel_unavailable",
        )
    able = [c for c in able if set(devices) <= set(c.node.facts.get("devices", ()))]
    if not able:
        raise Invalid(
            _("No node has the devices %(devices)s.") % {"devices": ", ".join(devices)}, field="devices"
        )
    able = [c for c in able if of_hosts.has(c.node, host_devices)]
    if not able:
        raise Invalid(
            _("No node has the devices %(devices)s.") % {"devices": ", ".join(host_devices)},
            field="host_devices",
        )
    return able


def _on_kernel(able: Sequence[Candidate], kind: Kind, kernel: Kernel, memory_mb: int) -> list[Candidate]:
    reasons = [(c, why_not(c.node.facts, kind, kernel, memory_mb)) for c in able]
    fitting = [c for c, reason in reasons if not reason]
    if not fitting:
        raise Invalid(
            _("No node offers kind %(kind)s on the kernel %(kernel)s: %(why)s.")
            % {"kind": kind, "kernel": kernel, "why": reasons[0][1]},
            field="kernel",
            code="kernel_unavailable",
        )
    return fitting


def _with_tasks(able: Sequence[Candidate], processes: int) -> list[Candidate]:
    """Those that may have so many for all of their environments; an old report doesn't say."""
    fitting = [c for c in able if processes <= c.node.facts.get("tasks", 0) or not c.node.facts.get("tasks")]
    if not fitting:
        most = max(c.node.facts["tasks"] for c in able)
        raise Invalid(
            _("%(processes)s processes are more than a node has for all environments (%(most)s).")
            % {"processes": processes, "most": most},
            field="processes",
        )
    return fitting


def _with_room(able: Sequence[Candidate], limits: Limits) -> Node:
    memory = max(c.node.facts["memory_bytes"] for c in able) // _MIB
    if limits.memory_mb > memory:
        raise Invalid(
            _("%(memory_mb)s MiB of memory is more than the largest node has (%(memory)s MiB).")
            % {"memory_mb": limits.memory_mb, "memory": memory},
            field="memory_mb",
        )
    fitting = [c for c in able if limits.memory_mb * _MIB <= c.node.facts["memory_bytes"]]
    cpus = max(c.node.facts["cpus"] for c in fitting)
    fitting = [c for c in fitting if limits.cpu <= c.node.facts["cpus"]]
    if not fitting:
        raise Invalid(
            _("%(cpu)s vCPUs are more than a node has (%(cpus)s).") % {"cpu": f"{limits.cpu:g}", "cpus": cpus},
            field="cpu",
        )
    fitting = _with_tasks(fitting, limits.processes)
    disk = max(c.node.facts["pool_bytes"] for c in fitting) // _MIB
    fitting = [c for c in fitting if limits.disk_mb * _MIB <= c.node.facts["pool_bytes"]]
    if not fitting:
        raise Invalid(
            _("%(disk_mb)s MiB of disk is more than a node's pool has (%(disk)s MiB).")
            % {"disk_mb": limits.disk_mb, "disk": disk},
            field="disk_mb",
        )
    roomy = [
        c for c in fitting if c.node.facts["pool_used_bytes"] < c.node.facts["pool_bytes"] * (1 - POOL_RESERVE)
    ]
    if not roomy:
        free = max(c.node.facts["pool_bytes"] - c.node.facts["pool_used_bytes"] for c in fitting)
        raise NoRoom(
            _(
                "The pool is full: %(free)s GiB free, %(disk_mb)s GiB wanted, and "
                "%(pool_reserve)s are kept back for those that run."
            )
            % {
                "free": f"{free / 2**30:.1f}",
                "disk_mb": f"{limits.disk_mb / 1024:.1f}",
                "pool_reserve": f"{POOL_RESERVE:.0%}",
            },
            code="pool_full",
            next_step=_("Delete environments or images that aren't needed, or enlarge the pool."),
        )
    unsold = [c for c in roomy if _is_within(c.node, limits)]
    if not unsold and len(roomy) == 1:
        raise _sold_out(roomy[0].node, limits)
    if not unsold:
        raise NoRoom(
            _("Every node that could take it has promised as much as its overcommit ratio allows."),
            code="node_sold_out",
            next_step=_(
                "Ask for less, or ask an administrator for room: the capacity page says what is short."
            ),
        )
    return min(unsold, key=lambda c: (load_of(c.node), c.node.name)).node


def choose_on(node: Node, candidates: Sequence[Candidate], **wanted: Any) -> Node:
    """This node alone, of whom a refusal says by name that it is meant. As `choose` else."""
    try:
        return choose([one for one in candidates if one.node.pk == node.pk], **wanted)
    except Refused as refusal:
        refusal.message = _("%(node)s can't take it. %(why)s") % {"node": node, "why": refusal.message}
        refusal.args = (refusal.message,)
        raise


def _is_within(node: Node, limits: Limits) -> bool:
    """Whether promising this keeps the node within its overcommit ratios."""
    return not any(_beyond(node, limits))


def _beyond(node: Node, limits: Limits) -> tuple[int, ...]:
    """What is wanted of vCPUs (thousandths), memory and disk (MiB) above what may still be promised."""
    sums = (
        node.reserved_cpu + round(limits.cpu * 1000),
        node.reserved_memory_mb + limits.memory_mb,
        node.reserved_disk_mb + limits.disk_mb,
    )
    pairs = zip(sums, node.bounds(), strict=True)
    return tuple(0 if most is None else max(0, wanted - most) for wanted, most in pairs)


def _sold_out(node: Node, limits: Limits) -> NoRoom:
    """By name and numbers."""
    cpu, memory, disk = _beyond(node, limits)
    short = [
        *([_("%(count)s vCPU") % {"count": f"{cpu / 1000:g}"}] if cpu else []),
        *([_("%(mib)s MiB of memory") % {"mib": memory}] if memory else []),
        *([_("%(mib)s MiB of disk") % {"mib": disk}] if disk else []),
    ]
    return NoRoom(
        _("The node %(node)s has promised what its overcommit ratio allows: it is short of %(short)s.")
        % {"node": node, "short": ", ".join(short)},
        code="node_sold_out",
        next_step=_("Ask for less, or ask an administrator for room: the capacity page says what is short."),
    )


def load_of(node: Node) -> float:
    """Share of memory that is promised already."""
    total: float = node.facts["memory_bytes"] / _MIB
    return node.reserved_memory_mb / total if total else 1.0


def candidates_for(image: str, at: datetime) -> list[Candidate]:
    """Two queries."""
    ready = set(_READY.all(image=image))
    return [Candidate(n, n.pk in ready, n.is_online(at)) for n in Node.objects.all()]


def take(
    node: Node, cpu: int, memory_mb: int, disk_mb: int, placed: int = 1, *, even_above: bool = False
) -> None:
    """Count it on the node; `NoRoom` when that would pass an overcommit ratio, unless `even_above`.

    Also locks the node's row, so that what follows is done one by one per node.
    """
    amounts = dict(zip(_COUNTED, (cpu, memory_mb, disk_mb), strict=True))
    bars = {
        f"{name}_most": _NO_BAR if amount <= 0 or most is None or even_above else most - amount
        for (name, amount), most in zip(amounts.items(), node.bounds(), strict=True)
    }
    if not _TAKE.run(pk=node.pk, placed=placed, **amounts, **bars):
        raise NoRoom(
            _("The node %(node)s has promised as much as its overcommit ratio allows.") % {"node": node},
            code="node_sold_out",
            next_step=_(
                "Ask for less, or ask an administrator for room: the capacity page says what is short."
            ),
        )


def free_slot(node: Node) -> int:
    """A range of user ids that no environment of the node has. `NoRoom` when all are taken.

    One that is free or has rested its whole time (`slot_cooldown_s`), drawn by lot: an environment sees its own
    number, and in sequence it would tell how many came before. When there is none, the one that has rested
    longest, at least `slot_least_rest_s`. The node says that an environment is gone only when no process has an
    id of its range any more.
    """
    first, count = node.facts["first_slot"], node.facts["slots"]
    free = _drawn_slot(node, first, first + count - 1)
    if free is None:
        free = _longest_rested(node)
    if free is None:
        raise NoRoom(
            _("All %(count)s user-id ranges of node %(name)s are in use or resting after a deletion.")
            % {"count": count, "name": node.name},
            code="no_slot",
            next_step=_("Wait for the ranges of deleted environments, or add a node."),
        )
    return free


def _drawn_slot(node: Node, first: int, last: int) -> int | None:
    """One of those that are free behind a place drawn by lot; behind the last comes the first."""
    start = first + secrets.randbelow(last - first + 1)
    for low, high in ((start, last), (first, start - 1)):
        for at in range(low, high + 1, _SLOTS_AT_ONCE):
            upto = min(at + _SLOTS_AT_ONCE - 1, high)
            free = set(range(at, upto + 1)).difference(_SLOTS_TAKEN.all(node=node.pk, low=at, high=upto))
            if free:
                return secrets.choice(sorted(free))
    return None


def _longest_rested(node: Node) -> int | None:
    """Takes it from the row of the deleted environment that had it."""
    rested = timezone.now() - timedelta(seconds=settings.WADAH.slot_least_rest_s)
    pk, slot = _RESTED.first(node=node.pk, before=rested) or (None, None)
    if pk is not None:
        Environment.objects.filter(pk=pk).update(slot=None)
    return slot
