"""What the API answers about what stands between an environment and the host."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Json, Moment
from runtime.contract import Kernel, Kind, SecurityProfile


class Walls(TypedDict):
    """Of the first process, as the kernel has it."""

    kernel: str
    namespaces: Annotated[
        dict[str, int], Field(description="Inode numbers, as `/proc/self/ns` inside shows them.")
    ]
    ids: Annotated[int, Field(description="User ids that are nobody else's.")]
    capabilities: list[str]
    filters: Annotated[int, Field(description="Of system calls (seccomp); 0: all of the kernel's are open.")]
    no_new_privileges: bool


class Isolation(TypedDict):
    kind: Annotated[str, As(Kind)]
    kernel: Annotated[str, As(Kernel)]
    security: Annotated[Json, As(SecurityProfile)]
    walls: Annotated[Walls | None, Field(description="Null while it doesn't run.")]


class Beancounter(TypedDict):
    resource: str
    unit: str
    held: int
    maxheld: int | None
    barrier: int | None
    limit: int | None
    failcnt: int | None
    last_failed_at: Annotated[
        Moment | None,
        Field(description="Within five seconds; null: never seen, or not counted."),
    ]
