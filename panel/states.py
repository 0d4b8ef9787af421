"""States as pages show them: a word and a tone, both with the enum of the state itself."""

from enum import StrEnum
from typing import Any, Protocol


class Tone(StrEnum):
    """How a state looks; the style sheet has a colour for each."""

    OK = "ok"
    BUSY = "busy"
    WARN = "warn"
    OFF = "off"
    BAD = "bad"


class Shown(Protocol):
    """A member of Django's choices that has a tone."""

    @property
    def label(self) -> Any: ...

    @property
    def tone(self) -> Tone: ...
