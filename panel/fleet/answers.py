"""What the API answers about nodes."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.fleet.shown_facts import FactsOfNode
from panel.http.answers import As, Id, Json, Moment
from runtime.contract import DeviceClass, Kernel, Kind


class NodeAmounts(TypedDict):
    cpu: float
    memory_mb: float
    disk_mb: float


class Overcommit(TypedDict):
    """How many times what it has a node may promise; null: no bound."""

    cpu: float | None
    memory_mb: float | None
    disk_mb: float | None


class Node(TypedDict):
    id: Id
    name: str
    state: str
    online: bool
    last_seen_at: Moment | None
    facts: Annotated[Json, As(FactsOfNode), Field(description="As the node says them; empty until it did.")]
    leaks: int
    environments: int
    reserved: NodeAmounts
    overcommit: Overcommit
    public_address: Annotated[
        str, Field(description="Under which people reach its port forwards; empty: nobody has said.")
    ]
    version: Annotated[
        int, Field(description="Counts up with every change of state and overcommit; for If-Match.")
    ]


class Cell(TypedDict):
    """A kind on a kernel."""

    kind: Annotated[str, As(Kind)]
    kernel: Annotated[str, As(Kernel)]
    offered: bool
    why_not: Annotated[str, Field(description="Empty where it is offered.")]
    least_memory_mb: Annotated[
        int, Field(description="Of an environment, for this kernel to have enough besides.")
    ]
    start_ms: Annotated[
        float | None, Field(description="What the start of such a kernel took when this node tried it.")
    ]


class Leak(TypedDict):
    resource: str
    what: str
    environment_id: Id | None


class OddEnvironment(TypedDict):
    environment_id: Id
    name: str


class LackingEnvironment(OddEnvironment):
    why: str


class LateEnvironment(LackingEnvironment):
    generation: int
    observed_generation: int


class NodeLeaks(TypedDict):
    at: Annotated[str, Field(description="When the node looked; empty: it hasn't yet.")]
    leaks: Annotated[list[Leak], Field(description="With the node's mark, and of no wanted environment.")]
    lacking: Annotated[
        list[LackingEnvironment], Field(description="Not as wanted; the node mends these by itself.")
    ]
    unknown: Annotated[list[Id], Field(description="Environments that the node has and the panel doesn't.")]
    lost: Annotated[
        list[OddEnvironment], Field(description="Environments that the panel has there and the node doesn't.")
    ]
    behind: Annotated[
        list[LateEnvironment], Field(description="Whose newest intent isn't brought about for a minute.")
    ]


class CpuPool(TypedDict):
    """Processors that only environments of the pool run on."""

    id: Id
    node: Id
    node_name: str
    name: str
    processors: Annotated[str, Field(description="As cpuset(7) writes them: 2-3,6.")]
    environments: Annotated[int, Field(description="That run on it, or would.")]
    held: Annotated[bool, Field(description="The node says that it holds it.")]


class SeenDevice(TypedDict):
    """A device of a node's host that might be allowed."""

    path: str
    sort: Annotated[str, As(DeviceClass)]
    number: Annotated[str, Field(description="Major and minor.")]
    udev: Annotated[list[str], Field(description="By which it is known again: NAME=value.")]


class HostDevice(TypedDict):
    """A device of a node's host that may be given to its environments."""

    id: Id
    node: Id
    node_name: str
    name: str
    path: Annotated[str, Field(description="Empty: it is known by what udev says of it.")]
    udev: list[str]
    inside: Annotated[str, Field(description="Where environments have it.")]
    shared: Annotated[bool, Field(description="Several environments may have it at once.")]
    sort: Annotated[str | None, As(DeviceClass | None)]
    number: Annotated[str, Field(description="Major and minor; empty while it isn't plugged in.")]
    refused: Annotated[bool, Field(description="What is there now is nothing that may be given.")]
    why_not: Annotated[str, Field(description="Why it isn't to be had now; empty: it is.")]
    held: Annotated[bool, Field(description="The node says that it holds it.")]
    environments: Annotated[int, Field(description="That have it.")]
