"""What the API answers about jails, in the words of jls(8) and jail.conf(5)."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.environments.api import NewEnvironment
from panel.environments.states import State
from panel.http.answers import As, Id, Json
from panel.http.inputs import in_part
from runtime.contract import Allow, Base


class Jail(TypedDict):
    jid: Annotated[int, Field(description="Counted in its tenant; kept over restarts.")]
    id: Annotated[Id, Field(description="Of the environment.")]
    name: str
    hostname: str
    tenant: Id
    tenant_slug: str
    node: str
    state: Annotated[str, As(State)]
    dying: Annotated[bool, Field(description="It is being deleted, or rests in the trash.")]
    base: Annotated[str, As(Base)]
    image: str
    ipv4_addrs: list[str]
    ipv6_addrs: list[str]
    allow: Annotated[list[str], As(list[Allow])]
    children_max: int
    enforce_statfs: int
    securelevel: int
    vnet: Annotated[bool, Field(description="A network stack of its own: each has one.")]
    processes: Annotated[int | None, Field(description="Null: nobody has counted them yet.")]


class Remark(TypedDict):
    line: int
    parameter: str
    text: str


class ImportedJail(TypedDict):
    name: str
    line: int
    asked: Annotated[Json, As(in_part(NewEnvironment)), Field(description="As `POST /environments` takes it.")]
    notes: Annotated[list[Remark], Field(description="What comes about in another way.")]
    left_out: Annotated[list[Remark], Field(description="What can't be honoured.")]


class MadeJail(ImportedJail):
    id: Id
    jid: int
    operation: Id
    root_password: Annotated[str | None, Field(description="Shown this once, where one was made.")]


class JailPreview(TypedDict):
    jails: list[ImportedJail]


class JailImport(TypedDict):
    jails: list[MadeJail]
