"""What the API answers about the record of deeds."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Json, Moment

_From = TypedDict(
    "_From",
    {"from": Annotated[str, Field(description="Address that it was done from; empty where none is known.")]},
)


class AuditRecord(_From):
    id: Annotated[str, Field(description="Its tenant's chain, and its number in it.")]
    at: Moment
    action: str
    who: str
    tenant: Id | None
    target_type: str
    target_id: str
    target_name: str
    before: Json
    after: Json
    operation: Id | None
    token: Id | None
    support: Annotated[Id | None, Field(description="The support access that it was done in.")]
    denied: bool
    sequence: Annotated[int, Field(description="In its tenant's chain.")]
    previous: str
    digest: str
