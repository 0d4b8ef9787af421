"""What the API answers about environments. Fields that features show are named here, as they are those of one
document; what fills them is theirs."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from panel.environments.document import Intent
from panel.environments.options import at_start
from panel.environments.states import State
from panel.http.answers import As, Id, Json, Moment
from panel.operations.answers import Operation
from runtime.contract import DesiredState, DeviceClass, Kernel, Kind
from runtime.contract.health import HealthSeen
from runtime.contract.logs import LogsState

_Spent = Annotated[str, As(Literal["slow", "suspend"])]


class Usage(TypedDict):
    at: Moment
    cpu: Annotated[float, Field(description="vCPUs in use over the last five seconds.")]
    memory_bytes: int
    memory_max_bytes: int
    processes: int
    disk_bytes: int
    network_in_bytes: int
    network_out_bytes: int
    oom_kills: int


if TYPE_CHECKING:

    class Options(TypedDict):
        """Each option of `Intent`, as JSON has it."""
else:
    _SHAPES = {name: Annotated[Any, As(field.annotation)] for name, field in Intent.model_fields.items()}
    Options = TypedDict("Options", _SHAPES)

_Waiting = TypedDict(  # type: ignore[misc]
    "PendingRestart",
    {name: Annotated[Any, As(Intent.model_fields[name].annotation)] for name in at_start({})},
    total=False,
)


class LogsOfApp(TypedDict):
    """What came of the sending of its log."""

    state: Annotated[str, As(LogsState)]
    since: Annotated[str | None, Field(description="Null: nothing was sent yet.")]
    message: Annotated[str, Field(description="Why it fails.")]
    lost_bytes: Annotated[int, Field(description="Of the log, that went over its bound unsent.")]


class OfApp(TypedDict, total=False):
    """Of kind `app` alone; null until its node said so."""

    digest: Annotated[str | None, Field(description="Of an app: what its image was resolved to.")]
    command: Annotated[list[str] | None, Field(description="Of an app: what runs.")]
    exposed_ports: Annotated[list[str], Field(description="Of an app: as its image names them.")]
    health: Annotated[
        Json | None, As(HealthSeen | None), Field(description="Of an app: what its checks say of it.")
    ]
    logs: Annotated[
        LogsOfApp | None, Field(description="Of an app whose log is sent somewhere: what came of that.")
    ]


class OfJail(TypedDict, total=False):
    """Of kind `jail` alone."""

    enforce_statfs: Annotated[int, Field(description="Of a jail: 2, it sees its own mounts alone.")]
    securelevel: Annotated[int, Field(description="Of a jail: 3, it changes nothing of the kernel.")]


class Forward(TypedDict):
    id: Id
    protocol: Annotated[str, As(Literal["tcp", "udp"])]
    node_port: int
    port: int
    description: str


class OfFeatures(TypedDict):
    addresses: list[str]
    forwards: NotRequired[
        Annotated[
            list[Forward], Field(description="In no list, nor of what was changed: of one, and a new one.")
        ]
    ]


class Environment(Options, OfApp, OfJail, OfFeatures):
    id: Id
    name: str
    description: str
    tenant: Id
    tenant_slug: str
    node: str
    state: Annotated[str, As(State)]
    desired_state: Annotated[str, As(DesiredState)]
    kind: Annotated[str, As(Kind)]
    kernel: Annotated[str, As(Kernel)]
    image: str
    tags: list[str]
    plan: Annotated[str | None, Field(description="Slug of its plan.")]
    plan_version: int | None
    follows_plan: Annotated[bool, Field(description="Gets each new version of its plan.")]
    plan_problem: Annotated[
        str, Field(description="Why the newest version could not be given to it; else empty.")
    ]
    traffic_state: Annotated[
        _Spent | None,
        Field(description="What was done since the month's traffic is used up; null: it isn't."),
    ]
    ssh_keys: list[str]
    pending_restart: Annotated[
        Json,
        As(_Waiting),
        Field(description="Options that wait for its next start, each with the value that holds until then."),
    ]
    version: Annotated[int, Field(description="Counts up with every change; for If-Match.")]
    generation: Annotated[int, Field(description="Counts up with every change that is wanted.")]
    observed_generation: Annotated[
        int, Field(description="Of the newest change that the node has brought about.")
    ]
    code: Annotated[str, Field(description="Why it failed; empty when it didn't.")]
    message: str
    next_step: str
    started_at: Moment | None
    restarts: int
    exit_code: int | None
    created_at: Moment
    trashed_at: Annotated[Moment | None, Field(description="Since when it is in the trash; null: it isn't.")]
    trash_ends_at: Annotated[
        Moment | None, Field(description="When it is deleted for good, unless it is brought back.")
    ]
    changed_at: Moment
    usage: Usage | None


class ListedEnvironment(Environment):
    operation: Annotated[Id | None, Field(description="Its newest operation.")]


class Traffic(TypedDict):
    """Of this month, in the tenant's time zone."""

    month: Annotated[str, Field(description="As 2026-11.")]
    ends_at: Moment
    in_bytes: int
    out_bytes: int
    limit_bytes: int | None
    action: Annotated[_Spent | None, Field(description="What happens when it is used up.")]
    state: Annotated[_Spent | None, Field(description="What was done since it is; null: it isn't.")]


class Way(TypedDict):
    text: Annotated[str, Field(description="A command, or an address to open, that works from outside.")]
    port: Annotated[int, Field(description="Inside.")]


class HasVolume(TypedDict):
    volume: Id
    name: str
    path: str
    read_only: bool
    state: Annotated[str, As(Literal["attaching", "attached", "detaching"])]


class HasDomain(TypedDict):
    domain: Id
    name: str
    port: Annotated[int, Field(description="Inside.")]
    url: str
    state: Annotated[str, As(Literal["unproved", "served", "closed"])]


class InStack(TypedDict):
    id: Id
    name: str
    service: str
    number: Annotated[int, Field(description="Of the copies of its service.")]


class OfFeaturesAlone(TypedDict):
    traffic: Traffic
    volumes: list[HasVolume]
    domains: list[HasDomain]
    stack: Annotated[InStack | None, Field(description="That it is a service of.")]
    reach: Annotated[
        list[Way],
        Field(description="By its port forwards, SSH first; none while its node's address isn't known."),
    ]


class Point(TypedDict):
    """A disk as it was at one moment, which can be gone back to."""

    kind: Annotated[str, As(Literal["snapshot", "backup"])]
    id: Annotated[Id, Field(description="Of the snapshot or backup.")]
    at: Moment
    name: str
    reason: Annotated[str, As(Literal["asked", "restore", "reinstall", "shrink", "schedule"])]
    state: Annotated[str, As(Literal["making", "ready", "going"])]
    seal: Annotated[
        str | None,
        As(Literal["none", "proved", "failed"] | None),
        Field(description="Of a backup: whether a system made of it started."),
    ]
    goes_at: Annotated[Moment | None, Field(description="When it is deleted by itself; null: by no date.")]


class OneEnvironment(ListedEnvironment, OfFeaturesAlone):
    pass


class _ToWatch(TypedDict):
    operation: Annotated[
        Operation | None,
        Field(description="To be watched at /operations/{id}; none when it was so already."),
    ]
    root_password: NotRequired[Annotated[str, Field(description="Shown this once, where one was made.")]]
    left_plan: NotRequired[
        Annotated[str, Field(description="Slug of the plan that it follows no more since this change.")]
    ]


class ChangedEnvironment(Environment, _ToWatch):
    pass


class UnseenEnvironment(_ToWatch):
    """Changed by who may change but not view it."""

    id: Id


#: Of every change.
Accepted = ChangedEnvironment | UnseenEnvironment


class EnvironmentPreview(TypedDict):
    fits: bool
    code: Annotated[str, Field(description="Why it can't be made; empty when it can.")]
    field: Annotated[str, Field(description="Which one is refused.")]
    why: str
    next_step: str
    changes: Annotated[
        dict[str, list[Any]],
        Field(description="Now, and then, by place: `plan`, `limits.memory_mb`, `allowances.forwards`."),
    ]
    at_next_start: Annotated[list[str], Field(description="Places that act at its next start only.")]
    restarts: Annotated[bool, Field(description="It would be started anew for it.")]
    left_plan: Annotated[str | None, Field(description="Slug of the plan that it would no longer follow.")]
    quota_left: Annotated[
        dict[str, float | None],
        Field(description="Of each resource afterwards, or now where it is refused; null: no limit."),
    ]


class Executed(TypedDict):
    exit_code: int | None
    stdout: str
    stderr: str
    encoding: Annotated[str, As(Literal["text", "base64"])]
    lossy: Annotated[bool, Field(description="Some bytes were no text and are replaced; ask for `base64`.")]
    truncated: bool
    timed_out: bool


class DeviceOfEnvironment(TypedDict):
    """A device of its node's host, as an environment has it."""

    name: str
    inside: Annotated[str, Field(description="Where it is inside.")]
    access: Annotated[str, As(Literal["hidden", "read", "read-write"])]
    sort: Annotated[str | None, As(DeviceClass | None)]
    number: Annotated[str, Field(description="Major and minor; empty while it isn't plugged in.")]
    why_not: Annotated[str, Field(description="Why it isn't to be had now; empty: it is.")]
