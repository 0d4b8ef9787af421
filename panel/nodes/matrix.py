"""Which kind a node has on which kernel, as it reports it: one table for forms, API and placement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from panel.said import read
from runtime.contract import Kernel, Kind


@dataclass(frozen=True)
class Cell:
    kind: Kind
    kernel: Kernel
    why_not: str
    """Empty: it is offered."""
    least_memory_mb: int
    start_ms: float | None


def matrix_of(facts: Mapping[str, Any]) -> list[Cell]:
    """In the reader's language. Of a node that doesn't report a table, by its lists of kinds and kernels."""
    if facts.get("matrix"):
        return [
            Cell(
                Kind(one["kind"]),
                Kernel(one["kernel"]),
                str(read(one["why_not"])),
                one["least_memory_mb"],
                one["start_ms"],
            )
            for one in facts["matrix"]
        ]
    return [Cell(kind, kernel, _by_lists(facts, kind, kernel), 0, None) for kind in Kind for kernel in Kernel]


def _by_lists(facts: Mapping[str, Any], kind: Kind, kernel: Kernel) -> str:
    if kind in facts.get("kinds", ()) and kernel in facts.get("kernels", ()):
        return ""
    return _("this node doesn't offer it")


def why_not(facts: Mapping[str, Any], kind: Kind, kernel: Kernel, memory_mb: int) -> str:
    """Why this node has no environment of this kind on this kernel, of this size; empty when it has."""
    for one in matrix_of(facts):
        if (one.kind, one.kernel) == (kind, kernel):
            if not one.why_not and memory_mb < one.least_memory_mb:
                return _("with kernel %(kernel)s it needs %(mib)s MiB of memory at least") % {
                    "kernel": kernel,
                    "mib": one.least_memory_mb,
                }
            return one.why_not
    return _("this node doesn't offer it")


def of_several(each: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """Offered where one of them offers it; else the first one's reason."""
    found: dict[tuple[Kind, Kernel], Cell] = {}
    for facts in each:
        for one in matrix_of(facts):
            known = found.get((one.kind, one.kernel))
            if known is None or (known.why_not and not one.why_not):
                found[one.kind, one.kernel] = one
    return list(found.values())
