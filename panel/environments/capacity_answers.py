"""What the API answers about what nodes can still take."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id


class CapacityShare(TypedDict):
    physical: float
    ratio: float | None
    most: Annotated[float | None, Field(description="What may be promised.")]
    promised: float
    used: float
    left: float | None
    oversold: float


class NodeCapacity(TypedDict):
    id: Id
    name: str
    environments: int
    verdict: Annotated[str, As(Literal["ok", "tight", "full", "unknown"])]
    why: str
    resources: dict[str, CapacityShare]


class WhatIf(TypedDict):
    asked: int
    fitting: int
    nodes: dict[str, int]
    short_of: str | None


class Capacity(TypedDict):
    nodes: list[NodeCapacity]
    overall: dict[str, CapacityShare]
    what_if: NotRequired[WhatIf]
