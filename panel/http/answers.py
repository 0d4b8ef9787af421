"""The types of which answers of the API are made: typed dicts, which mypy holds handlers to and the OpenAPI
document is made from.

They go out as they are built (`panel.gate.answers`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar
from uuid import UUID

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema
from typing_extensions import TypedDict

ShownT = TypeVar("ShownT")
Json = dict[str, Any]


@dataclass(frozen=True)
class As:
    """In an `Annotated`: in JSON it is what stands before, and it has this shape, as an id is text."""

    shape: Any

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.shape)


Id = Annotated[str, As(UUID)]
Moment = Annotated[str, As(datetime)]


#: `ListOf[Tenant]` is `TenantList` in the document (`panel.api.headers.name_schemas`).
class ListOf(TypedDict, Generic[ShownT]):
    items: list[ShownT]
    count: Annotated[int, Field(description="Of all, not of this page.")]
    count_is_exact: NotRequired[Annotated[bool, Field(description="False: there are at least as many.")]]


class Problem(TypedDict):
    """RFC 9457, `application/problem+json`."""

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="Stays the same between versions; for programs.")]
    detail: Annotated[str, Field(description="A sentence for a person.")]
    field: NotRequired[Annotated[str | None, Field(description="Which value of the request it is about.")]]
    next_step: NotRequired[str | None]
    errors: NotRequired[list[dict[Literal["field", "message"], str]]]
