"""What the API answers about operations."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Json, Moment
from panel.operations.models import OperationKind, OperationState, SubjectType


class Step(TypedDict):
    name: str
    verb: Annotated[str, As(Literal["ensure", "remove", "wait", "do"])]
    state: str
    started_at: Moment
    duration_ms: float
    code: NotRequired[Annotated[str, Field(description="Of a failed one: its stable cause.")]]
    detail: NotRequired[str]


class OperationSubject(TypedDict):
    type: Annotated[str, As(SubjectType)]
    id: str
    name: str


_From = TypedDict("_From", {"from": Annotated[str, Field(description="Address that it was asked from.")]})


class ListedOperation(_From):
    id: Id
    kind: Annotated[str, As(OperationKind)]
    state: Annotated[str, As(OperationState)]
    subject: Annotated[OperationSubject, Field(description="What it is about.")]
    environment: Annotated[Id | None, Field(description="Of one about an environment, while that is there.")]
    environment_name: str
    tenant: Annotated[Id | None, Field(description="null: it is about something of the whole installation.")]
    who: str
    generation: Annotated[
        int, Field(description="Of the environment's intent; 0: it is done once, and is no intent.")
    ]
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    deadline: Moment
    progress: Annotated[float, Field(description="0 to 1, of one that says so.")]
    doing: Annotated[
        str, Field(description="What is being done; of one that has succeeded, what became of it.")
    ]
    details: Json
    code: str
    message: str
    next_step: str
    is_retryable: bool
    retry_of: Id | None


class Operation(ListedOperation):
    steps: list[Step]


class NoOperation(TypedDict):
    """The node has nothing to do for it."""
