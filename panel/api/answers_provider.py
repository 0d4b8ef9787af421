"""What answers about the provider's side hold: quotas, plans, images, nodes, capacity, the audit record."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, RootModel

from panel.api.answer import Answer
from panel.plans.terms import Allowances, Choices


class Registry(Answer):
    id: UUID
    tenant: UUID | None = Field(description="Null: of all tenants.")
    host: str
    username: str
    has_password: bool
    insecure: bool
    inward: bool
    created_at: datetime


class ResourceUsage(Answer):
    limit: float | None
    soft: float | None
    grace_s: int
    soft_since: datetime | None
    overbook: float
    reserved: float
    used: float
    highest: float
    highest_used: float
    hits: int
    alert: int | None = Field(description="Percent of the limit that were crossed: 80, 95 or 100.")


class TenantUsage(RootModel[dict[str, ResourceUsage]]):
    """By resource: environments, cpu, memory_mb, swap_mb, disk_mb, processes, addresses, forwards, …"""


class Taker(Answer):
    id: UUID
    name: str
    node: str
    state: str
    resources: dict[str, dict[str, float | None]]


class QuotaPreview(Answer):
    is_allowed: bool
    refusal: str
    resources: Any
    environments: list[dict[str, str]]
    environments_count: int
    sentences: list[str]


class Plan(Answer):
    id: UUID
    slug: str
    name: str
    description: str
    position: int
    revision: int = Field(description="Counts up with every change; for If-Match.")
    version: int = Field(description="Of its terms: the number of the newest one.")
    limits: dict[str, Any]
    allowances: Allowances
    choices: Choices
    tenant: UUID | None


class PlanVersion(Answer):
    number: int
    created_at: datetime
    environments: int = Field(description="Living ones that have it.")
    following: int = Field(description="Those of them that get each new version.")
    limits: dict[str, Any]
    allowances: Allowances
    choices: Choices


class OnePlan(Plan):
    versions: list[PlanVersion] | None = Field(default=None, description="For who manages plans.")


class PlanPreview(Answer):
    version: int
    changes: dict[str, list[Any]] = Field(description="Per term: now, and then.")
    following: int
    fitting: int
    staying: int
    environments: list[dict[str, Any]]


class ImageOnNode(Answer):
    node: str
    state: str
    progress: float
    bytes: int
    code: str = Field(description="Stable cause of a failure; empty when all is well.")
    message: str
    next_step: str
    operation: UUID | None = Field(description="The newest about it there.")


class ImageArchive(Answer):
    sha256: str
    bytes: int


class Image(Answer):
    id: UUID
    name: str
    title: str
    description: str
    source: str
    archive: ImageArchive | None
    nodes: list[ImageOnNode]


class RemovedImage(Answer):
    id: UUID
    name: str


class NodeAmounts(Answer):
    cpu: float
    memory_mb: float
    disk_mb: float


class Overcommit(Answer):
    """How many times what it has a node may promise; null: no bound."""

    cpu: float | None
    memory_mb: float | None
    disk_mb: float | None


class Node(Answer):
    id: UUID
    name: str
    state: str
    online: bool
    last_seen_at: datetime | None
    facts: dict[str, Any] = Field(description="As the node says them: cpus, memory_bytes, kinds, devices, …")
    leaks: int
    environments: int
    reserved: NodeAmounts
    overcommit: Overcommit
    public_address: str = Field(
        description="Under which people reach its port forwards; empty: nobody has said."
    )
    version: int = Field(description="Counts up with every change of state and overcommit; for If-Match.")


class Leak(Answer):
    resource: str
    what: str
    environment_id: UUID | None


class OddEnvironment(Answer):
    environment_id: UUID
    name: str


class LackingEnvironment(OddEnvironment):
    why: str


class LateEnvironment(LackingEnvironment):
    generation: int
    observed_generation: int


class NodeLeaks(Answer):
    at: str = Field(description="When the node looked; empty: it hasn't yet.")
    leaks: list[Leak] = Field(description="With the node's mark, and of no wanted environment.")
    lacking: list[LackingEnvironment] = Field(description="Not as wanted; the node mends these by itself.")
    unknown: list[UUID] = Field(description="Environments that the node has and the panel doesn't.")
    lost: list[OddEnvironment] = Field(
        description="Environments that the panel has there and the node doesn't."
    )
    behind: list[LateEnvironment] = Field(description="Whose newest intent isn't brought about for a minute.")


class CapacityShare(Answer):
    physical: float
    ratio: float | None
    most: float | None = Field(description="What may be promised.")
    promised: float
    used: float
    left: float | None
    oversold: float


class NodeCapacity(Answer):
    id: UUID
    name: str
    environments: int
    verdict: Literal["ok", "tight", "full", "unknown"]
    why: str
    resources: dict[str, CapacityShare]


class WhatIf(Answer):
    asked: int
    fitting: int
    nodes: dict[str, int]
    short_of: str | None


class Capacity(Answer):
    nodes: list[NodeCapacity]
    overall: dict[str, CapacityShare]
    what_if: WhatIf | None = None


class AuditRecord(Answer):
    id: str = Field(description="Its tenant's chain, and its number in it.")
    at: datetime
    action: str
    who: str
    from_: str = Field(alias="from", description="Address that it was done from; empty where none is known.")
    tenant: UUID | None
    target_type: str
    target_id: str
    target_name: str
    before: dict[str, Any]
    after: dict[str, Any]
    operation: UUID | None
    token: UUID | None
    support: UUID | None = Field(description="The support access that it was done in.")
    denied: bool
    sequence: int = Field(description="In its tenant's chain.")
    previous: str
    digest: str
