"""What the API answers about stages."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Moment
from panel.operations.answers import Operation


class StageCopy(TypedDict):
    environment: Id
    environment_name: str
    image: Annotated[str, Field(description="With the digest that it runs; empty while that isn't known.")]
    is_well: bool


class StageVersion(TypedDict):
    number: int
    image: str
    came_from: Annotated[str, Field(description="The stage that it was promoted from; empty: it wasn't.")]
    who: str
    at: Moment
    operation: Id | None


class Rollout(TypedDict):
    operation: Id
    image: str
    state: Annotated[str, As(Literal["checking", "waiting", "rolling", "back", "done", "failed"])]
    todo: Annotated[int, Field(description="Copies that are still to be replaced.")]
    approved_by: str
    problem: str


class Stage(TypedDict):
    id: Id
    tenant: Id
    line: str
    name: str
    place: Annotated[int, Field(description="Within its line, from 0.")]
    needs_health: bool
    needs_yes: bool
    command: list[str]
    drain_s: int
    copies: list[StageCopy]
    versions: Annotated[list[StageVersion], Field(description="The newest first, twenty at most.")]
    rollout: Annotated[Rollout | None, Field(description="The newest one.")]
    created_at: Moment


class RolledStage(Stage):
    operation: Operation
