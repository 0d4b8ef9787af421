"""Who hears of what a node says of itself: apps that keep something of each node register in `ready()`."""

from collections.abc import Callable
from typing import Protocol

from panel.nodes.models import Node
from runtime.contract import NodeReport


class Hears(Protocol):
    """Within the transaction that takes the report in; the node's row is saved after it."""

    def __call__(self, node: Node, report: NodeReport) -> None: ...


REPORTS: list[Hears] = []
BOOTS: list[Callable[[Node], None]] = []


def hears_reports(take_in: Hears) -> None:
    REPORTS.append(take_in)


def hears_of_boots(tell: Callable[[Node], None]) -> None:
    """`tell` is called after the commit; what it raises costs nothing else."""
    BOOTS.append(tell)
