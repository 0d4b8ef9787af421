"""A stack as a picture: services from left to right in the order of their start, lines to those that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from panel.stacks.compose import Service

#: In units of the picture, which is as wide as its page lets it be.
BOX_WIDTH: Final = 176
BOX_HEIGHT: Final = 52
_GAP_X, _GAP_Y, _MARGIN = 64, 18, 8
#: Between lines that go by below the boxes of a column.
_LANE: Final = 12
_LONGEST = 22


@dataclass(frozen=True)
class Box:
    service: Service
    x: int
    y: int

    @property
    def name(self) -> str:
        """As much of it as the box has room for."""
        return _short(self.service.name)

    @property
    def image(self) -> str:
        """The last part of its name, which tells most."""
        return _short(self.service.image.rpartition("/")[2])


@dataclass(frozen=True)
class Line:
    """From a service to one that waits for it."""

    path: str
    is_dashed: bool
    """It waits for more than the start."""


@dataclass(frozen=True)
class Picture:
    boxes: Sequence[Box]
    lines: Sequence[Line]
    width: int
    height: int


def picture_of(services: Sequence[Service]) -> Picture:
    """Empty for no services."""
    levels = _levels({one.name: list(one.waits) for one in services})
    columns: dict[int, int] = {}
    boxes: dict[str, Box] = {}
    for one in services:
        level = levels[one.name]
        row = columns.get(level, 0)
        columns[level] = row + 1
        x, y = _MARGIN + level * (BOX_WIDTH + _GAP_X), _MARGIN + row * (BOX_HEIGHT + _GAP_Y)
        boxes[one.name] = Box(one, x, y)
    lanes: dict[int, list[str]] = {}
    lines = []
    for one in services:
        for needed, wait in one.waits.items():
            if needed not in boxes:
                continue
            points = [(boxes[needed].x + BOX_WIDTH, boxes[needed].y + BOX_HEIGHT // 2)]
            for level in range(levels[needed] + 1, levels[one.name]):
                x, y = _MARGIN + level * (BOX_WIDTH + _GAP_X), _lane(lanes, columns, level, needed)
                points += [(x, y), (x + BOX_WIDTH, y)]
            points.append((boxes[one.name].x, boxes[one.name].y + BOX_HEIGHT // 2))
            lines.append(Line(_path(points), wait.condition.value != "service_started"))
    width = 2 * _MARGIN + len(columns) * BOX_WIDTH + max(0, len(columns) - 1) * _GAP_X
    bottoms = [
        columns[level] * (BOX_HEIGHT + _GAP_Y) - _GAP_Y + (_GAP_Y + (len(by) - 1) * _LANE if by else 0)
        for level, by in ((level, lanes.get(level, [])) for level in columns)
    ]
    return Picture(list(boxes.values()), lines, width, 2 * _MARGIN + max(bottoms, default=0))


def _lane(lanes: dict[int, list[str]], columns: Mapping[int, int], level: int, needed: str) -> int:
    """How far down lines from this service go by a column, below its boxes: one for all that wait for it."""
    there = lanes.setdefault(level, [])
    if needed not in there:
        there.append(needed)
    return _MARGIN + columns[level] * (BOX_HEIGHT + _GAP_Y) + there.index(needed) * _LANE


def _levels(waits: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many start before each, one after another. A file with a circle is refused before this."""
    found: dict[str, int] = {}
    for _ in waits:  # each turn settles one more in a chain
        for name, needed in waits.items():
            found[name] = max((found.get(one, 0) + 1 for one in needed if one in waits), default=0)
    return found


def _path(points: Sequence[tuple[int, int]]) -> str:
    """Bent from column to column, straight along one."""
    path = "M{} {}".format(*points[0])
    for number, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        middle = (x1 + x2) // 2
        path += f" H{x2}" if number % 2 else f" C{middle} {y1} {middle} {y2} {x2} {y2}"
    return path


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
