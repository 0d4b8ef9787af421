"""What every source of an image offers."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from runtime.contract import ImageSource, ImageSpec
from runtime.contract.said import Said
from runtime.node import Node

Progress = Callable[[float, Said], None]
"""Share done (0 to 1) and a line for people."""


class Source(ABC):
    """Fills an empty directory with a root tree, owned by ids as they are inside."""

    name: ClassVar[ImageSource]

    def recipe(self) -> str:
        """All that what it builds depends on besides the spec, as one text: an image of another recipe is built
        anew. Empty: only the spec counts."""
        return ""

    @abstractmethod
    def build(self, node: Node, spec: ImageSpec, tree: Path, progress: Progress) -> Said:
        """What it became, for people; may be empty.

        Raises `RuntimeFault` when it can't; the caller throws the tree away then.
        """
