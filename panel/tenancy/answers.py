"""What the API answers about a tenant's use of its quota."""

from typing import Annotated, Any

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


class QuotaPreview(TypedDict):
    is_allowed: bool
    refusal: str
    resources: Any
    environments: list[dict[str, str]]
    environments_count: int
    sentences: list[str]
