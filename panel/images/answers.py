"""What the API answers about images."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id


class ImageOnNode(TypedDict):
    node: str
    state: str
    progress: float
    bytes: int
    code: Annotated[str, Field(description="Stable cause of a failure; empty when all is well.")]
    message: str
    next_step: str
    operation: Annotated[Id | None, Field(description="The newest about it there.")]


class ImageArchive(TypedDict):
    sha256: str
    bytes: int


class Image(TypedDict):
    id: Id
    name: str
    title: str
    description: str
    source: str
    archive: ImageArchive | None
    nodes: list[ImageOnNode]


class RemovedImage(TypedDict):
    id: Id
    name: str
