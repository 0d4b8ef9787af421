"""What the API answers about terminals."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict


class Terminal(TypedDict):
    name: str
    created_at: Annotated[float, Field(description="Seconds since 1970, by its node's clock.")]
    viewers: int
