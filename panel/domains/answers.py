"""What the API answers about domains."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Moment


class Target(TypedDict):
    environment: Id
    environment_name: str
    port: int
    is_drained: Annotated[bool, Field(description="Gets no new request, while what it runs is replaced.")]


class Record(TypedDict):
    type: Annotated[str, As(Literal["TXT"])]
    name: str
    value: str


class Front(TypedDict):
    is_there: Annotated[bool, Field(description="This installation serves domains at all.")]
    certificates: Annotated[
        str,
        As(Literal["acme", "internal"]),
        Field(description="`internal`: by an authority of the front's own, which browsers don't know."),
    ]


class Domain(TypedDict):
    id: Id
    tenant: Id
    name: str
    shown_name: Annotated[str, Field(description="As people write it.")]
    url: str
    state: Annotated[str, As(Literal["unproved", "served", "closed"])]
    proved_by: Annotated[str, As(Literal["", "below", "txt", "address"])]
    record: Annotated[Record | None, Field(description="What DNS has to have; null: it is proved.")]
    problem: Annotated[str, Field(description="Why it isn't proved.")]
    looked_at: Annotated[Moment | None, Field(description="When DNS was last asked.")]
    https: Annotated[bool, Field(description="Who comes without TLS is led to the same address with it.")]
    redirect_to: str
    users: Annotated[list[str], Field(description="Who may look; none: everybody.")]
    balance: Annotated[str, As(Literal["round_robin", "sticky"])]
    health_path: Annotated[str, Field(description="Asked of each of several; empty: a connection is enough.")]
    targets: list[Target]
    front: Front
    version: int
    created_at: Moment


class Request(TypedDict):
    at: Moment
    name: str
    client: str
    method: str
    path: str
    protocol: str
    status: int
    bytes: int
    seconds: float
