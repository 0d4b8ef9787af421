"""Measured values, the goals that stand beside them, and how both are printed. Nothing here measures."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Of = Literal["median", "p95", "p99", "min", "max"]


@dataclass(frozen=True)
class Goal:
    """A bound on one figure of a row, in the row's unit."""

    of: Of
    bound: float
    at_least: bool = False

    def is_met(self, row: "Row") -> bool:
        value = row.figure(self.of)
        return value >= self.bound if self.at_least else value <= self.bound

    def said(self, row: "Row") -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{self.of} {sign} {self.bound:g} {'✓' if self.is_met(row) else '✗'}"


@dataclass(frozen=True)
class Row:
    """What was measured of one thing, a value per run; `values` in the order they came."""

    label: str
    values: Sequence[float]
    unit: str = "ms"
    goals: tuple[Goal, ...] = ()
    note: str = ""
    tails: tuple[Of, ...] = ()
    """Shown besides median, min and max."""

    def figure(self, of: Of) -> float:
        if of == "median":
            return statistics.median(self.values)
        if of == "min":
            return min(self.values)
        if of == "max":
            return max(self.values)
        return quantile(self.values, {"p95": 0.95, "p99": 0.99}[of])

    def line(self) -> str:
        shown: list[Of] = list(dict.fromkeys([*self.tails, *(g.of for g in self.goals if g.of[0] == "p")]))
        figures = [f"median {number(self.figure('median'))} {self.unit}"]
        if len(self.values) > 1:
            figures.append(f"min {number(self.figure('min'))}  max {number(self.figure('max'))}")
            figures += [f"{of} {number(self.figure(of))}" for of in shown]
        figures.append(f"n={len(self.values)}")
        goals = "; ".join(goal.said(self) for goal in self.goals)
        return f"  {self.label:34} {'  '.join(figures)}" + (f"   goal {goals}" if goals else "")

    def document(self) -> dict[str, Any]:
        figures = {of: self.figure(of) for of in ("median", "min", "max", "p95", "p99")}  # type: ignore[arg-type]
        goals = [{**asdict(goal), "met": goal.is_met(self)} for goal in self.goals]
        return {
            "label": self.label, "unit": self.unit, "n": len(self.values), **figures,
            "goals": goals, "note": self.note, "values": [round(one, 4) for one in self.values],
        }  # fmt: skip


@dataclass(frozen=True)
class Skipped:
    """What could not be measured here, and why."""

    label: str
    reason: str

    def line(self) -> str:
        return f"  {self.label:34} skipped: {self.reason}"

    def document(self) -> dict[str, Any]:
        return {"label": self.label, "skipped": self.reason}


@dataclass
class Series:
    """A row in the making."""

    label: str
    unit: str = "ms"
    goals: tuple[Goal, ...] = ()
    tails: tuple[Of, ...] = ()
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    def time(self, act: Callable[[], Any]) -> Any:
        """Runs it and adds how many milliseconds it took; gives what it gives."""
        began = time.perf_counter()
        result = act()
        self.add(ms_since(began))
        return result

    def row(self, note: str = "") -> Row:
        return Row(self.label, self.values, self.unit, self.goals, note, self.tails)


def ratio(label: str, above: Series, below: Series, *, goals: tuple[Goal, ...] = ()) -> Row:
    """Pair by pair, so that a machine that grows slower during the run doesn't count."""
    pairs = [a / b for a, b in zip(above.values, below.values, strict=False) if b]
    return Row(label, pairs, "×", goals)


def ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all don't exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def number(value: float) -> str:
    """Three figures that mean something."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 3)}f}"
