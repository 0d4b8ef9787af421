"""What the API answers about the registry of the installation."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Moment


class Repository(TypedDict):
    name: Annotated[str, Field(description="`TENANT/NAME`.")]
    reference: Annotated[str, Field(description="As `docker pull` takes it, without a tag.")]
    tenant: Id
    tags: int
    bytes: Annotated[int, Field(description="Of all that its tags lead to, each tag counted by itself.")]


class Tag(TypedDict):
    name: str
    reference: str
    digest: str
    bytes: int
    pushed_at: Moment
    before: Annotated[list[str], Field(description="Digests that it had before, newest first.")]
    used_by: Annotated[
        list[Id], Field(description="Apps that you see and that were made from it, by tag or digest.")
    ]


class Removed(TypedDict):
    digest: str
    tags: Annotated[list[str], Field(description="All that led to it.")]


class Space(TypedDict):
    tenant: Id
    tenant_slug: str
    host: Annotated[str, Field(description="For `docker login`.")]
    used_bytes: Annotated[
        int, Field(description="Each blob once, and what is on its way; of each thing 64 KiB at least.")
    ]
    limit_bytes: int
