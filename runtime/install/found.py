"""A line of `doctor`."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "weak", "missing"]


@dataclass(frozen=True)
class Check:
    name: str
    level: Level
    found: str
    why: str = ""
    remedy: str = ""
