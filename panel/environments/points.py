"""What an environment's disk can go back to, of all features: the newest first, and where each lies in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from panel.environments import answers
from panel.environments.features import FEATURES, Point, Points
from panel.environments.models import Environment

#: Of the picture's units, in which `templates/environments/_points.html` draws.
WIDTH, _MARGIN = 600, 8


@dataclass(frozen=True)
class Placed:
    point: Point
    x: int
    """From the left edge of the picture."""


def points_of(environment: Environment, most: int, since: datetime | None = None) -> Points:
    """The newest `most` of all features, and how many there are in all; no more than that is read of each."""
    each = [feature.points(environment, most, since) for feature in FEATURES]
    newest = sorted(
        (one for found in each for one in found.newest), key=lambda one: (one.at, one.id), reverse=True
    )
    return Points(newest[:most], sum(found.count for found in each))


def placed(points: Sequence[Point], now: datetime) -> list[Placed]:
    """On a line from the oldest to now; the newest first as they come."""
    if not points:
        return []
    span = max((now - points[-1].at).total_seconds(), 1.0)
    length = WIDTH - 2 * _MARGIN
    left = [min(max((now - one.at).total_seconds() / span, 0.0), 1.0) for one in points]
    return [Placed(one, _MARGIN + round((1 - share) * length)) for one, share in zip(points, left, strict=True)]


def show(one: Point) -> answers.Point:
    return {
        "kind": one.kind,
        "id": str(one.id),
        "at": one.at.isoformat(),
        "name": one.name,
        "reason": one.reason,
        "state": str(one.state),
        "seal": None if one.seal is None else str(one.seal),
        "goes_at": one.goes_at.isoformat() if one.goes_at else None,
    }
