"""What the API answers about plans."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Json, Moment
from panel.plans.terms import Allowances, Choices
from runtime.contract import Limits


class Plan(TypedDict):
    id: Id
    slug: str
    name: str
    description: str
    position: int
    revision: Annotated[int, Field(description="Counts up with every change; for If-Match.")]
    version: Annotated[int, Field(description="Of its terms: the number of the newest one.")]
    limits: Annotated[Json, As(Limits)]
    allowances: Annotated[Json, As(Allowances)]
    choices: Annotated[Json, As(Choices)]
    tenant: Id | None


class PlanVersion(TypedDict):
    number: int
    created_at: Moment
    environments: Annotated[int, Field(description="Living ones that have it.")]
    following: Annotated[int, Field(description="Those of them that get each new version.")]
    limits: Annotated[Json, As(Limits)]
    allowances: Annotated[Json, As(Allowances)]
    choices: Annotated[Json, As(Choices)]


class OnePlan(Plan):
    versions: NotRequired[Annotated[list[PlanVersion], Field(description="For who manages plans.")]]
