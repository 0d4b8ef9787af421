"""Of whoever waits for something that takes its time."""

from collections.abc import Callable
from dataclasses import dataclass

from runtime.contract.said import Said


@dataclass(frozen=True)
class Waiter:
    interrupted: Callable[[], bool] = lambda: False
    """Asked several times a second."""
    tell: Callable[[Said], object] = lambda _: None
    """How far it is, for people."""
    within_s: float = 3600.0
