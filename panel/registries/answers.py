"""What the API answers about registries."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Moment


class ImageHealth(TypedDict):
    command: list[str]
    interval_s: Annotated[float, Field(description="0: nobody says.")]
    timeout_s: float
    start_period_s: float
    retries: int


class InspectedImage(TypedDict):
    image: Annotated[str, Field(description="Written out.")]
    digest: str
    bytes: Annotated[int, Field(description="Of its layers, packed.")]
    layers: int
    entrypoint: list[str]
    cmd: list[str]
    env: Annotated[list[str], Field(description="`NAME=value`, as its image has them.")]
    user: str
    workdir: str
    stop_signal: str
    ports: Annotated[list[str], Field(description="That it exposes: `80/tcp`.")]
    volumes: Annotated[list[str], Field(description="Places that it declares as volumes.")]
    health: Annotated[ImageHealth | None, Field(description="Its HEALTHCHECK; null: it has none.")]


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
