"""What the API answers about stacks."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Json, Moment
from panel.http.inputs import in_part
from panel.operations.answers import Operation
from runtime.contract import Limits


class Copy(TypedDict):
    environment: Id
    name: str
    number: int
    state: str
    health: Annotated[str | None, Field(description="Null: nobody asks it.")]
    addresses: list[str]


class Service(TypedDict):
    name: str
    image: str
    replicas: Annotated[int, Field(description="As wanted.")]
    waits_for: Annotated[dict[str, str], Field(description="Services, with the condition.")]
    environments: list[Copy]


class StackVolume(TypedDict):
    key: Annotated[str, Field(description="As the file calls it.")]
    volume: Id
    name: str


class Note(TypedDict):
    line: int
    place: str
    text: str


class Listed(TypedDict):
    id: Id
    tenant: Id
    node: Id
    name: str
    state: Annotated[str, As(Literal["working", "running", "stopped", "partly", "failed", "deleting"])]
    catalogue: Annotated[str, Field(description="Entry of the catalogue that it was made from; else empty.")]
    version: int
    created_at: Moment
    changed_at: Moment


class Stack(Listed):
    compose: str
    variables: Annotated[list[str], Field(description="Names alone: what they hold may be secret.")]
    files: Annotated[list[str], Field(description="Names alone.")]
    profiles: list[str]
    scale: dict[str, int]
    plan: str
    limits: Annotated[Json, As(in_part(Limits)), Field(description="Of services that say nothing themselves.")]
    volume_mb: int
    services: list[Service]
    volumes: list[StackVolume]
    notes: Annotated[list[Note], Field(description="What is done otherwise than the file says.")]
    operation: Annotated[Operation | None, Field(description="The newest.")]


class TakenStack(Stack):
    generated: Annotated[dict[str, str], Field(description="Passwords that were made: told this once.")]


class Question(TypedDict):
    name: str
    label: str
    default: str
    generate: Annotated[bool, Field(description="A password is made where none is given.")]


class Entry(TypedDict):
    slug: str
    title: str
    kind: str
    words: str
    site: str
    memory_mb: int
    asks: list[Question]
    notes: list[str]
    compose: str


class ServiceChange(TypedDict):
    does: Annotated[str, As(Literal["create", "remake", "remove", "keep"])]
    service: str
    number: int
    name: str
    why: Annotated[list[str], Field(description="Of one that is made anew: what of it is other than before.")]


class StackPreview(TypedDict):
    changes: list[ServiceChange]
    volumes: Annotated[list[str], Field(description="Those that would be made.")]
    notes: list[Note]
