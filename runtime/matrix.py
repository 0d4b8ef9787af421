"""Which kind this node has on which kernel: offered, or why not, with what it costs where that was tried.

The panel's forms and API, and `doctor`, read this one table.
"""

from runtime import kinds
from runtime.contract import Kernel, Kind
from runtime.contract.node import Cell
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import refusals
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.sandboxes import Sandbox, sandbox_of


def of(node: Node) -> tuple[Cell, ...]:
    """All of them; cheap, since what a node can do was tried when it was prepared."""
    sandboxes = {one.kernel: one for one in sandbox_of(node).each}
    return tuple(_cell(kind, kernel, sandboxes.get(kernel)) for kind in Kind for kernel in Kernel)


def _cell(kind: Kind, kernel: Kernel, sandbox: Sandbox | None) -> Cell:
    if sandbox is None:
        return Cell(kind=kind, kernel=kernel, why_not=refusals.kernel_not_offered(kernel))
    return Cell(
        kind=kind,
        kernel=kernel,
        why_not=_without_kind(kind) or sandbox.refuses_kind(kind) or sandbox.unavailable() or NOTHING,
        least_memory_mb=sandbox.least_memory_mb,
        start_ms=sandbox.start_ms(),
    )


def _without_kind(kind: Kind) -> Said | None:
    try:
        return kinds.kind_of(kind).unavailable()
    except RuntimeFault:
        return refusals.kind_not_offered(kind)
