"""What the API answers about a tenant's use of its quota."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Moment


class ResourceUsage(TypedDict):
    limit: float | None
    soft: float | None
    grace_s: int
    soft_since: Moment | None
    overbook: float
    reserved: float
    used: float
    highest: float
    highest_used: float
    hits: int
    alert: Annotated[int | None, Field(description="Percent of the limit that were crossed: 80, 95 or 100.")]


class Taker(TypedDict):
    id: Id
    name: str
    node: str
    state: str
    resources: dict[str, dict[str, float | None]]


class ResourcePreview(TypedDict):
    limit: float | None
    new_limit: float | None
    reserved: float
    used: float
    over: Annotated[float, Field(description="Handed out beyond the new limit.")]


class NotFitting(TypedDict):
    id: Id
    name: str
    tenant_name: str


class QuotaPreview(TypedDict):
    is_allowed: bool
    refusal: str
    resources: Annotated[dict[str, ResourcePreview], Field(description="Those that are asked for, by name.")]
    environments: list[NotFitting]
    environments_count: int
    sentences: list[str]
