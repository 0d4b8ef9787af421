"""What the panel has staged for a node to read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.node import Node


class Handed(BaseModel):
    """An archive that the panel has staged below HOME."""

    model_config = ConfigDict(extra="forbid")

    archive: UUID
    bytes: Annotated[int, Field(gt=0)]


@contextmanager
def opened(node: Node, handed: Handed) -> Iterator[int]:
    """A descriptor of it. Raises `RuntimeFault` (`not_found`) when it is gone, or another than was said."""
    try:
        with SafeTree.open(node.home / "panel") as safe:
            archive = safe.open_file(f"/archives/{handed.archive}", size=handed.bytes)
    except (FileNotFoundError, RuntimeFault) as error:
        raise RuntimeFault(words.archive_gone(), code="not_found") from error
    try:
        yield archive
    finally:
        os.close(archive)
