"""The base of what answers look like, and lists of them."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """More fields may come with a later version: clients ignore what they don't know."""

    model_config = ConfigDict(extra="allow")


OneT = TypeVar("OneT", bound=Answer)


class List(Answer, Generic[OneT]):
    items: list[OneT]
    count: int = Field(description="Of all, not of this page.")
    count_is_exact: bool = Field(default=True, description="False: there are at least as many.")
