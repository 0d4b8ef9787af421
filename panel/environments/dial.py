"""The kernels that one environment could have in place of its own: what each is, what it costs on its node, or
why it can't be had. What the settings page shows is what the API would answer."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.environments.models import Environment
from panel.environments.services.change import refuse_turn
from panel.errors import Refused
from panel.nodes.matrix import Cell, matrix_of
from runtime.contract import DesiredState, Kernel, Kind, ObservedState

_WHAT: dict[Kernel, Promise] = {
    Kernel.SHARED: gettext_lazy("The host's own: nothing costs anything."),
    Kernel.GUARDED: gettext_lazy(
        "gVisor answers its system calls, in a process without rights: for what isn't trusted."
    ),
    Kernel.OWN: gettext_lazy(
        "A Linux of its own, as a process of the host: with modules, sysctls and panics of its own."
    ),
}


@dataclass(frozen=True)
class Choice:
    kernel: Kernel
    what: str
    price: str
    """Empty where nothing is to be told."""
    why_not: str
    """Empty: it can be had."""
    is_now: bool


def choices(row: Environment) -> list[Choice]:
    cells = {one.kernel: one for one in matrix_of(row.node.facts) if one.kind == Kind(row.kind)}
    return [
        Choice(
            kernel=one,
            what=str(_WHAT[one]),
            price=_price(cells.get(one)),
            why_not=_why_not(row, one),
            is_now=row.kernel == one,
        )
        for one in Kernel
    ]


def is_turnable(row: Environment) -> bool:
    """It is stopped, and wants to be."""
    has_ended = row.observed_state in (ObservedState.STOPPED, ObservedState.FAILED)
    return row.desired_state == DesiredState.STOPPED and has_ended


def _price(cell: Cell | None) -> str:
    if cell is None or not cell.start_ms:
        return ""
    return _("Starts in %(ms)s ms on this node, from %(mib)s MiB of memory on.") % {
        "ms": f"{cell.start_ms:.0f}",
        "mib": cell.least_memory_mb,
    }


def _why_not(row: Environment, kernel: Kernel) -> str:
    if row.kernel == kernel:
        return ""
    try:
        refuse_turn(row, kernel)
    except Refused as refusal:
        return f"{refusal.message} {refusal.next_step}".strip()
    return ""
