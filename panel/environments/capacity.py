"""What nodes can still take: what is there, what was promised, how far promises may go, and what-if."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Sum
from django.utils.translation import gettext as _

from panel.environments import capacity_answers as answers
from panel.environments.models import EnvironmentUsage
from panel.environments.placement import POOL_RESERVE
from panel.nodes.models import Node, NodeState
from runtime.contract import Limits

_MIB = 2**20
_FULL, _TIGHT = 0.95, 0.80
#: Environments that a what-if tries at most.
MOST_TRIED = 10_000


@dataclass
class Share:
    """One resource of one node (or of all), in the API's units."""

    name: str
    physical: float
    ratio: float | None
    promised: float
    used: float

    @property
    def most(self) -> float | None:
        """How much may be promised; None: nobody set a bound."""
        return None if self.ratio is None else self.physical * self.ratio

    @property
    def left(self) -> float | None:
        return None if self.most is None else max(self.most - self.promised, 0)

    @property
    def oversold(self) -> float:
        """Promised by physical: 1.5 means half as much again as there is."""
        return self.promised / self.physical if self.physical else 0.0

    @property
    def fill(self) -> float:
        """Share of what may be promised, or of what is there where no bound is set."""
        whole = self.most if self.most is not None else self.physical
        return self.promised / whole if whole else 0.0

    @property
    def bar_whole(self) -> float:
        """What a bar is drawn against."""
        return self.most if self.most is not None else max(self.physical, self.promised)

    @property
    def level(self) -> float:
        """How full for the eye, from 0: what is used of what there is, and promises where they are bounded."""
        used = self.used / self.physical if self.physical else 0.0
        return used if self.most is None else max(used, self.fill)

    def show(self) -> answers.CapacityShare:
        return {
            "physical": self.physical,
            "ratio": self.ratio,
            "most": self.most,
            "promised": self.promised,
            "used": self.used,
            "left": self.left,
            "oversold": round(self.oversold, 3),
        }


@dataclass
class Capacity:
    """Of one node; `what_if` counts into its shares."""

    node: Node
    shares: dict[str, Share]
    tone: str = ""
    words: str = ""

    def __post_init__(self) -> None:
        self.tone, self.words = verdict(self)

    def show(self) -> answers.NodeCapacity:
        return {
            "id": str(self.node.pk),
            "name": self.node.name,
            "environments": self.node.placed,
            "verdict": {"": "unknown", "ok": "ok", "warn": "tight", "bad": "full"}[self.tone],
            "why": self.words,
            "resources": {name: share.show() for name, share in self.shares.items()},
        }


def capacities() -> list[Capacity]:
    """One query for the nodes and one for what is used of their processors."""
    return capacities_of(Node.objects.all())


def capacities_of(nodes: Iterable[Node]) -> list[Capacity]:
    rows = EnvironmentUsage.objects.filter(environment__deleted_at=None).values_list("environment__node_id")
    cpu: dict[UUID, float] = dict(rows.annotate(cpu=Sum("cpu")).order_by())
    return [Capacity(node, shares_of(node, cpu.get(node.pk, 0.0))) for node in nodes]


def shares_of(node: Node, cpu_used: float) -> dict[str, Share]:
    facts = node.facts
    memory = facts.get("memory_bytes", 0)
    return {
        "cpu": Share("cpu", facts.get("cpus", 0), node.cpu_ratio, node.reserved_cpu / 1000, round(cpu_used, 2)),
        "memory_mb": Share(
            "memory_mb",
            memory // _MIB,
            node.memory_ratio,
            node.reserved_memory_mb,
            (memory - facts.get("memory_available_bytes", memory)) // _MIB,
        ),
        "disk_mb": Share(
            "disk_mb",
            facts.get("pool_bytes", 0) // _MIB,
            node.disk_ratio,
            node.reserved_disk_mb,
            facts.get("pool_used_bytes", 0) // _MIB,
        ),
    }


def verdict(one: Capacity) -> tuple[str, str]:
    """Tone and words: whether it is there at all, what is really full, then what is promised."""
    node = one.node
    if not node.is_online():
        return "bad", _("not heard of")
    if node.state != NodeState.ENABLED:
        return "warn", _("takes nothing new")
    return _of_the_pool(one.shares["disk_mb"]) or _of_promises(one.shares) or ("ok", _("has room"))


def _of_the_pool(disk: Share) -> tuple[str, str] | None:
    if not disk.physical or disk.used < disk.physical * _TIGHT:
        return None
    if disk.used >= disk.physical * (1 - POOL_RESERVE):
        return "bad", _("disk pool full")
    return "warn", _("disk pool filling up")


def _of_promises(shares: dict[str, Share]) -> tuple[str, str] | None:
    """The fullest bound; and what is promised more than once where nobody set a bound."""
    bounded = [share for share in shares.values() if share.most is not None]
    fullest = max(bounded, key=lambda share: share.fill, default=None)
    if fullest is not None and fullest.fill >= _FULL:
        return "bad", _("%(what)s promised up to its bound") % {"what": _NAMES[fullest.name]()}
    if fullest is not None and fullest.fill >= _TIGHT:
        return "warn", _("%(what)s is getting short") % {"what": _NAMES[fullest.name]()}
    for name in ("memory_mb", "disk_mb"):
        if shares[name].ratio is None and shares[name].oversold > 1:
            values = {"what": _NAMES[name](), "n": f"{shares[name].oversold:.1f}"}
            return "warn", _("%(what)s promised %(n)s times, and no bound is set") % values
    return None


_NAMES = {"cpu": lambda: _("vCPU"), "memory_mb": lambda: _("memory"), "disk_mb": lambda: _("disk")}


def overall(all_: Sequence[Capacity]) -> dict[str, Share]:
    """The sum of the nodes that take new environments. Without a bound on one of them the sum has none."""
    able = [one for one in all_ if one.node.state == NodeState.ENABLED and one.node.is_online()]
    summed = {}
    for name in ("cpu", "memory_mb", "disk_mb"):
        shares = [one.shares[name] for one in able]
        physical = sum(share.physical for share in shares)
        most = [share.most for share in shares]
        bound = None if None in most or not physical else sum(m for m in most if m is not None) / physical
        summed[name] = Share(
            name,
            physical,
            bound,
            sum(share.promised for share in shares),
            round(sum(share.used for share in shares), 2),
        )
    return summed


@dataclass
class WhatIf:
    """How many of a size fit, and where they would go."""

    asked: int
    fitting: int = 0
    by_node: dict[str, int] = field(default_factory=dict)
    short_of: str = ""
    """What runs out first on the nodes that could take one more; empty when all fit."""

    def show(self) -> answers.WhatIf:
        return {
            "asked": self.asked,
            "fitting": self.fitting,
            "nodes": self.by_node,
            "short_of": self.short_of or None,
        }


def what_if(all_: Sequence[Capacity], limits: Limits, count: int) -> WhatIf:
    """Place `count` environments of this size one by one, as placement would, and count. Changes `all_`."""
    takes = {"cpu": limits.cpu, "memory_mb": float(limits.memory_mb), "disk_mb": float(limits.disk_mb)}
    able = [one for one in all_ if one.node.state == NodeState.ENABLED and one.node.is_online()]
    answer = WhatIf(min(count, MOST_TRIED))
    while answer.fitting < answer.asked:
        fitting = [one for one in able if not _short_of(one, takes)]
        if not fitting:
            short = [_short_of(one, takes) for one in able]
            answer.short_of = max(set(short), key=short.count) if short else "node"
            break
        chosen = min(fitting, key=lambda one: (one.shares["memory_mb"].oversold, one.node.name))
        for name, amount in takes.items():
            chosen.shares[name].promised += amount
        answer.fitting += 1
        answer.by_node[chosen.node.name] = answer.by_node.get(chosen.node.name, 0) + 1
    return answer


def fits_somewhere(all_: Sequence[Capacity], limits: Limits) -> bool:
    """Whether any node takes one more of this size."""
    takes = {"cpu": limits.cpu, "memory_mb": float(limits.memory_mb), "disk_mb": float(limits.disk_mb)}
    able = (one for one in all_ if one.node.state == NodeState.ENABLED and one.node.is_online())
    return any(not _short_of(one, takes) for one in able)


def _short_of(one: Capacity, takes: dict[str, float]) -> str:
    """The first resource that one more would not fit into; empty when it fits."""
    for name, amount in takes.items():
        share = one.shares[name]
        if amount > share.physical or (share.left is not None and amount > share.left):
            return name
    disk = one.shares["disk_mb"]
    return "disk_mb" if disk.used >= disk.physical * (1 - POOL_RESERVE) else ""
