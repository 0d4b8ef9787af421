"""Ways in: by which of them root gets into an environment, and what stands before the others."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from runtime.contract.base import Message
from runtime.contract.said import NOTHING, Said


class WayName(StrEnum):
    CONSOLE = "console"
    """Its console, with root's password."""
    SSH_KEY = "ssh_key"
    SSH_PASSWORD = "ssh_password"  # noqa: S105 (a name)


class Way(Message):
    name: WayName
    is_open: bool
    why: Said = NOTHING
    """Of one that isn't: what stands before it."""


class WaysIn(Message):
    """Of root, from an environment's own files; where it runs, from its kernel too."""

    ways: Annotated[tuple[Way, ...], Field(max_length=len(WayName))]
    ssh_port: Annotated[int, Field(ge=1, le=65_535)] = 22
    """On which its SSH server listens, or would."""

    def of(self, name: WayName) -> Way:
        return next(one for one in self.ways if one.name is name)
