"""What the API answers about jails, in the words of jls(8) and jail.conf(5)."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.environments.api import NewEnvironment
from panel.environments.states import State
from panel.http.answers import As, Id, Json, Moment
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


class BasePackage(TypedDict):
    name: str
    before: Annotated[str, Field(description="Its version; empty: it is new.")]
    after: Annotated[str, Field(description="Empty: it goes.")]


class ChangedFiles(TypedDict):
    added: int
    removed: int
    changed: int


class ForeseenJail(TypedDict):
    id: Id
    name: str
    node: str
    is_known: Annotated[bool, Field(description="False: its node can't be asked now.")]
    now: Annotated[str, Field(description="The build that its base is: image and number on its node.")]
    newest: Annotated[str, Field(description="Empty: its node has no such image any more.")]
    before: Annotated[str, Field(description="The build before its newest update; empty: none.")]
    packages: Annotated[list[BasePackage], Field(description="500 at most.")]
    more_packages: int
    files: Annotated[ChangedFiles, Field(description="Of what it shares with its base.")]
    settings: Annotated[
        list[str], Field(description="In /etc of the newest build otherwise; the jail keeps its own.")
    ]


class BasePreview(TypedDict):
    jails: list[ForeseenJail]


class BaseUpdate(TypedDict):
    id: Id
    tenant: Id
    image: str
    command: list[str]
    state: Annotated[str, As(Literal["checking", "rolling", "back", "done", "failed"])]
    goes_back_to: Annotated[Id | None, Field(description="The update that this one takes back.")]
    jails: Annotated[
        dict[str, str], Field(description="By id, the build that each is brought to; empty: its first.")
    ]
    todo: Annotated[list[Id], Field(description="Jails that are still to be brought to it.")]
    problem: str
    operation: Id
    created_at: Moment


class TemplateStep(TypedDict):
    line: int
    verb: str
    command: Annotated[str, Field(description="What runs inside, as root, by /bin/sh.")]


class TemplateForward(TypedDict):
    protocol: str
    node_port: int
    port: int


class Template(TypedDict):
    steps: list[TemplateStep]
    limits: dict[str, float]
    forwards: list[TemplateForward]
    tags: list[str]
    left_out: Annotated[list[Remark], Field(description="What can't be honoured.")]


class AppliedTemplate(Template):
    exit_code: Annotated[int, Field(description="Of the first step that failed; 0: all ended well.")]
    failed_line: int | None
    stdout: str
    stderr: str
    timed_out: bool
