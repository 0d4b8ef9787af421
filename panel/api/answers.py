"""What answers look like, for the OpenAPI document and the clients that are made from it.

The handlers answer with plain documents; these models say what stands in them. `tests/panel/api` holds real
answers against them.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, create_model

from panel.api import answers_people as people
from panel.api import answers_provider as provider
from panel.api import answers_storage as storage
from panel.api.answer import Answer, List
from panel.environments.document import Intent
from panel.environments.states import State
from panel.operations.models import OperationKind, OperationState, SubjectType
from panel.tenants.models import SuspendedHow, TenantState
from runtime.contract import DesiredState, Kernel, Kind


class Limits(Answer):
    cpu: float = Field(description="vCPUs; the hard cap.")
    memory_mb: int
    disk_mb: int
    swap_mb: int = 0
    processes: int
    cpu_weight: int = 100
    disk_read_bytes_s: int | None = None
    disk_write_bytes_s: int | None = None
    disk_read_iops: int | None = None
    disk_write_iops: int | None = None
    network_in_bit_s: int | None = None
    network_out_bit_s: int | None = None


class Usage(Answer):
    at: datetime
    cpu: float = Field(description="vCPUs in use over the last five seconds.")
    memory_bytes: int
    memory_max_bytes: int
    processes: int
    disk_bytes: int
    network_in_bytes: int
    network_out_bytes: int
    oom_kills: int


#: Each option with the type that the intent has for it.
_Options: type[Answer] = create_model(  # type: ignore[call-overload]
    "_Options",
    __base__=Answer,
    **{name: (field.annotation, ...) for name, field in Intent.model_fields.items()},
)


class Environment(_Options):
    id: UUID
    name: str
    description: str
    tenant: UUID
    tenant_slug: str
    node: str
    state: State
    desired_state: DesiredState
    kind: Kind
    kernel: Kernel
    image: str
    tags: list[str]
    plan: str | None = Field(description="Slug of its plan.")
    plan_version: int | None
    follows_plan: bool = Field(description="Gets each new version of its plan.")
    plan_problem: str = Field(description="Why the newest version could not be given to it; else empty.")
    traffic_state: Literal["slow", "suspend"] | None = Field(
        description="What was done since the month's traffic is used up; null: it isn't."
    )
    addresses: list[str]
    ssh_keys: list[str]
    pending_restart: dict[str, Any] = Field(
        description="Options that wait for its next start, each with the value that holds until then."
    )
    version: int = Field(description="Counts up with every change; for If-Match.")
    generation: int = Field(description="Counts up with every change that is wanted.")
    observed_generation: int = Field(description="Of the newest change that the node has brought about.")
    code: str = Field(description="Why it failed; empty when it didn't.")
    message: str
    next_step: str
    started_at: datetime | None
    restarts: int
    exit_code: int | None
    created_at: datetime
    trashed_at: datetime | None = Field(description="Since when it is in the trash; null: it isn't.")
    trash_ends_at: datetime | None = Field(
        description="When it is deleted for good, unless it is brought back."
    )
    changed_at: datetime
    usage: Usage | None


class Step(Answer):
    name: str
    verb: Literal["ensure", "remove", "wait", "do"]
    state: str
    started_at: datetime
    duration_ms: float
    code: str = Field(default="", description="Of a failed one: its stable cause.")
    detail: str = ""


class OperationSubject(Answer):
    type: SubjectType
    id: str
    name: str


class ListedOperation(Answer):
    id: UUID
    kind: OperationKind
    state: OperationState
    subject: OperationSubject = Field(description="What it is about.")
    environment: UUID | None = Field(description="Of one about an environment, while that is there.")
    environment_name: str
    tenant: UUID | None = Field(description="null: it is about something of the whole installation.")
    who: str
    from_: str = Field(alias="from", description="Address that it was asked from.")
    generation: int = Field(description="Of the environment's intent; 0: it is done once, and is no intent.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime
    progress: float = Field(description="0 to 1, of one that says so.")
    doing: str = Field(description="What is being done; of one that has succeeded, what became of it.")
    details: dict[str, Any]
    code: str
    message: str
    next_step: str
    is_retryable: bool
    retry_of: UUID | None


class Operation(ListedOperation):
    steps: list[Step]


class ListedEnvironment(Environment):
    operation: UUID | None = Field(description="Its newest operation.")


class Traffic(Answer):
    """Of this month, in the tenant's time zone."""

    month: str = Field(description="As 2026-11.")
    ends_at: datetime
    in_bytes: int
    out_bytes: int
    limit_bytes: int | None
    action: Literal["slow", "suspend"] | None = Field(description="What happens when it is used up.")
    state: Literal["slow", "suspend"] | None = Field(description="What was done since it is; null: it isn't.")


class Way(Answer):
    text: str = Field(description="A command, or an address to open, that works from outside.")
    port: int = Field(description="Inside.")


class OneEnvironment(ListedEnvironment):
    traffic: Traffic
    reach: list[Way] = Field(
        description="By its port forwards, SSH first; none while its node's address isn't known."
    )


class ChangedEnvironment(Environment):
    operation: Operation | None = Field(
        description="To be watched at /operations/{id}; none when it was so already."
    )
    root_password: str | None = Field(default=None, description="Shown this once, where one was made.")
    left_plan: str | None = Field(
        default=None, description="Slug of the plan that it follows no more since this change."
    )


class EnvironmentPreview(Answer):
    fits: bool
    code: str = Field(description="Why it can't be made; empty when it can.")
    field: str = Field(description="Which one is refused.")
    why: str
    next_step: str
    changes: dict[str, list[Any]] = Field(
        description="Now, and then, by place: `plan`, `limits.memory_mb`, `allowances.forwards`."
    )
    at_next_start: list[str] = Field(description="Places that act at its next start only.")
    restarts: bool = Field(description="It would be started anew for it.")
    left_plan: str | None = Field(description="Slug of the plan that it would no longer follow.")
    quota_left: dict[str, float | None] = Field(
        description="Of each resource afterwards, or now where it is refused; null: no limit."
    )


class Executed(Answer):
    exit_code: int | None
    stdout: str
    stderr: str
    encoding: Literal["text", "base64"]
    lossy: bool = Field(description="Some bytes were no text and are replaced; ask for `base64`.")
    truncated: bool
    timed_out: bool


class Tenant(Answer):
    id: UUID
    name: str
    slug: str
    parent: UUID | None
    state: TenantState
    suspended_reason: str
    suspended_how: SuspendedHow = Field(description="What a suspension does to what runs.")
    delete_at: datetime | None = Field(description="When it is deleted with all that it owns.")
    must_use_plans: bool
    trash_days: int = Field(description="How long what is deleted can be brought back; 0: not at all.")
    requires_mfa: bool = Field(description="Of its people and those of tenants below it.")
    time_zone: str
    version: int = Field(description="Counts up with every change; for If-Match.")


class OneTenant(Tenant):
    quota: dict[str, float | None] = Field(description="The limit of each resource; null: not limited here.")


class Address(Answer):
    id: UUID
    address: str
    family: Literal[4, 6]
    tenant: UUID | None
    environment: UUID | None
    leased_at: datetime
    released_at: datetime | None


class Forward(Answer):
    id: UUID
    protocol: Literal["tcp", "udp"]
    node_port: int
    port: int
    description: str


class AddedForward(Forward):
    operation: Operation | None


class Terminal(Answer):
    name: str
    created_at: Any
    viewers: int


class Walls(Answer):
    """Of the first process, as the kernel has it."""

    kernel: str
    namespaces: dict[str, int] = Field(description="Inode numbers, as `/proc/self/ns` inside shows them.")
    ids: int = Field(description="User ids that are nobody else's.")
    capabilities: list[str]
    filters: int = Field(description="Of system calls (seccomp); 0: all of the kernel's are open.")
    no_new_privileges: bool


class Isolation(Answer):
    kind: Kind
    kernel: Kernel
    security: dict[str, Any]
    walls: Walls | None = Field(description="Null while it doesn't run.")


class Beancounter(Answer):
    resource: str
    unit: str
    held: int
    maxheld: int | None
    barrier: int | None
    limit: int | None
    failcnt: int | None


class TakenSnapshot(storage.Snapshot):
    operation: Operation | None


class Problem(Answer):
    """RFC 9457, `application/problem+json`."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stays the same between versions; for programs.")
    detail: str = Field(description="A sentence for a person.")
    field: str | None = Field(default=None, description="Which value of the request it is about.")
    next_step: str | None = None
    errors: list[dict[Literal["field", "message"], str]] | None = None


_CHANGES = (
    "create update delete undelete start stop restart pause resume reinstall credentials "
    "add_addresses remove_address remove_forward"
)
#: Operation of the document, and what it answers when all is well.
ANSWERS: dict[str, type[BaseModel]] = {
    "environments_list": List[ListedEnvironment],
    "environments_get": OneEnvironment,
    **{f"environments_{name}": ChangedEnvironment for name in _CHANGES.split()},
    "environments_addresses": List[Address],
    "environments_forwards": List[Forward],
    "environments_add_forward": AddedForward,
    "environments_operations": List[ListedOperation],
    "environments_preview": EnvironmentPreview,
    "environments_exec": Executed,
    "environments_terminals": List[Terminal],
    "environments_isolation": Isolation,
    "environments_beancounters": List[Beancounter],
    "snapshots_list": List[storage.Snapshot],
    "snapshots_create": TakenSnapshot,
    "snapshots_get": storage.Snapshot,
    "files_list": storage.FilePage,
    "files_put": storage.PutFile,
    "snapshots_changes": storage.Changes,
    "snapshots_put_back": storage.PutBack,
    "schedules_list": List[storage.Schedule],
    "schedules_create": storage.Schedule,
    "schedules_get": storage.Schedule,
    "schedules_update": storage.Schedule,
    **{f"snapshots_{name}": ChangedEnvironment for name in ("delete", "restore", "clone")},
    "registries_list": List[provider.Registry],
    "registries_add": provider.Registry,
    "registries_get": provider.Registry,
    "operations_list": List[ListedOperation],
    "operations_get": Operation,
    "operations_retry": Operation,
    "operations_cancel": Operation,
    "tenants_list": List[Tenant],
    **{
        f"tenants_{name}": OneTenant
        for name in ("create", "get", "update", "suspend", "resume", "delete", "cancel_deletion")
    },
    "tenants_usage": provider.TenantUsage,
    "tenants_environments_usage": List[provider.Taker],
    "tenants_preview_quota": provider.QuotaPreview,
    "members_list": List[people.Member],
    "members_update": people.Member,
    "roles_list": List[people.Role],
    "roles_create": people.Role,
    "roles_update": people.Role,
    "invitations_list": List[people.Invitation],
    "invitations_create": people.Invitation,
    "shares_list": List[people.Share],
    "shares_create": people.Invitation,
    "support_list": List[people.SupportAccess],
    "support_accesses": List[people.SupportAccess],
    "support_enter": people.EnteredSupport,
    "signin_policy_get": people.SignInPolicy,
    "signin_policy_update": people.SignInPolicy,
    "sessions_list": List[people.Session],
    "ssh_keys_list": List[people.SshKey],
    "ssh_keys_add": people.SshKey,
    "tokens_list": List[people.Token],
    "tokens_create": people.NewToken,
    "plans_list": List[provider.Plan],
    "plans_create": provider.Plan,
    "plans_get": provider.OnePlan,
    "plans_update": provider.Plan,
    "plans_preview": provider.PlanPreview,
    "images_list": List[provider.Image],
    "images_build": provider.Image,
    "images_import": provider.Image,
    "images_delete": provider.RemovedImage,
    "nodes_list": List[provider.Node],
    "nodes_get": provider.Node,
    "nodes_update": provider.Node,
    "nodes_survey": provider.Node,
    "nodes_leaks": provider.NodeLeaks,
    "capacity_get": provider.Capacity,
    "addresses_list": List[Address],
    "audit_list": List[provider.AuditRecord],
}
#: They answer with no document: a text, a stream of lines.
NO_DOCUMENT = frozenset({"environments_console_log", "audit_export", "files_archive", "files_content"})


def _name(model: type[BaseModel]) -> str:
    """`List[Tenant]` becomes `TenantList`."""
    of = model.__pydantic_generic_metadata__["args"]
    return f"{of[0].__name__}List" if of else model.__name__


def describe(document: dict[str, Any]) -> None:
    """Puts the answers into an OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    models: set[type[BaseModel]] = {*ANSWERS.values(), Problem}
    for model in models:
        made = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(made.pop("$defs", {}))
        schemas[_name(model)] = made
    for path in document["paths"].values():
        for operation in path.values():
            answer = ANSWERS.get(operation.get("operationId", ""))
            if answer is None:
                continue
            for status, response in operation["responses"].items():
                if str(status).startswith("2"):
                    reference = {"$ref": f"#/components/schemas/{_name(answer)}"}
                    response["content"] = {"application/json": {"schema": reference}}
