"""What the API answers about registries."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Moment


class Registry(TypedDict):
    id: Id
    tenant: Annotated[Id | None, Field(description="Null: of all tenants.")]
    host: str
    username: str
    has_password: bool
    insecure: bool
    inward: bool
    created_at: Moment
