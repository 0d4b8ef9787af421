"""How a new environment is told that it is a copy of a service."""

from dataclasses import dataclass
from typing import Final

from panel.stacks.models import Stack
from panel.stacks.wanted import Copy

#: How `create_environment` is told by its `features`.
FIELD: Final = "stack"


@dataclass(frozen=True)
class Place:
    """Of a new environment in a stack."""

    stack: Stack
    copy: Copy
