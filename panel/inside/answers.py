"""What the API answers about the inside of an environment."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Json, Moment
from runtime.contract.ways_in import WayName


class Process(TypedDict):
    pid: Annotated[int, Field(description="As inside, as are all ids.")]
    parent: Annotated[int, Field(description="0: outside, or not listed.")]
    uid: int
    user: str
    state: Annotated[str, Field(description="As ps(1) has it: R, S, D, Z, T, …")]
    cpu_s: float
    memory_bytes: Annotated[int, Field(description="Resident.")]
    age_s: float
    name: str
    program: Annotated[str, Field(description="Its executable; empty where there is none any more.")]


class Top(TypedDict):
    items: list[Process]
    count: Annotated[int, Field(description="Of all, also of those that aren't listed.")]


class WayIn(TypedDict):
    name: Annotated[
        str,
        As(WayName),
        Field(description="By its console with root's password; by SSH with a key, or with the password."),
    ]
    is_open: bool
    why: Annotated[str, Field(description="What stands before it, in your language; empty where it is open.")]


class WaysIn(TypedDict):
    items: list[WayIn]
    count: int
    ssh_port: Annotated[int, Field(description="Inside, on which its SSH server listens, or would.")]


class Stats(TypedDict):
    at: Moment
    cpu: Annotated[float, Field(description="vCPUs in use over the last five seconds.")]
    cpu_limit: float
    memory_bytes: int
    memory_limit_bytes: int
    memory_percent: float
    processes: int
    processes_limit: int
    disk_bytes: int
    disk_limit_bytes: int
    network_in_bytes: int
    network_out_bytes: int
    oom_kills: int


class Event(TypedDict):
    at: Moment
    type: Annotated[
        str,
        As(Literal["operation", "happening"]),
        Field(description="What somebody asked for, or what happened by itself."),
    ]
    what: Annotated[str, Field(description="Of an operation its kind; else `unhealthy`, `oom`, …")]
    state: Annotated[str, Field(description="Of an operation; else empty.")]
    who: str
    operation: Id | None
    details: Json


class CopiedIn(TypedDict):
    entries: Annotated[int, Field(description="Files, links and directories that were written.")]
    skipped: Annotated[int, Field(description="Fifos, sockets and devices, which aren't.")]
