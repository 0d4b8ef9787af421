"""A stack as a picture: services from left to right in the order of their start, lines to those that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from panel.stacks.compose import Service

#: In units of the picture, which is as wide as its page lets it be.
BOX_WIDTH: Final = 176
BOX_HEIGHT: Final = 52
_GAP_X, _GAP_Y, _MARGIN = 64, 18, 8
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
    lines = [
        _line(boxes[needed], boxes[one.name], is_dashed=wait.condition.value != "service_started")
        for one in services
        for needed, wait in one.waits.items()
        if needed in boxes
    ]
    width = 2 * _MARGIN + len(columns) * BOX_WIDTH + max(0, len(columns) - 1) * _GAP_X
    height = 2 * _MARGIN + max(columns.values(), default=0) * (BOX_HEIGHT + _GAP_Y) - _GAP_Y
    return Picture(list(boxes.values()), lines, width, height)


def _levels(waits: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many start before each, one after another. A file with a circle is refused before this."""
    found: dict[str, int] = {}
    for _ in waits:  # each turn settles one more in a chain
        for name, needed in waits.items():
            found[name] = max((found.get(one, 0) + 1 for one in needed if one in waits), default=0)
    return found


def _line(needed: Box, waiting: Box, *, is_dashed: bool) -> Line:
    x1, y1 = needed.x + BOX_WIDTH, needed.y + BOX_HEIGHT // 2
    x2, y2 = waiting.x, waiting.y + BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    return Line(f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}", is_dashed)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
