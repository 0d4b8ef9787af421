"""What the API answers about terminals."""

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict


class Terminal(TypedDict):
    name: str
    created_at: Annotated[Any, Field(description="As its node says it.")]
    viewers: int
