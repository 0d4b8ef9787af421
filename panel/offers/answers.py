"""What the API answers about a change of a plan before it is made."""

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id


class PlannedEnvironment(TypedDict):
    id: Id
    name: str
    tenant: Id
    tenant_name: str
    fits: bool
    why: str


class PlanPreview(TypedDict):
    version: int
    changes: Annotated[dict[str, list[Any]], Field(description="Per term: now, and then.")]
    following: int
    fitting: int
    staying: int
    environments: list[PlannedEnvironment]
