"""What the API answers about registries."""

from typing import Annotated, Literal

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
    signed_by: Annotated[
        Literal["gpg", "sigstore"] | None,
        Field(description="Nothing is run from it that isn't signed by the key. Null: anything is."),
    ]
    signature_key: str | None
    lookaside: Annotated[str | None, Field(description="Where signatures of the kind `gpg` lie.")]
    created_at: Moment
