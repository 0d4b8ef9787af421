"""What the API answers about addresses and port forwards."""

from typing import Annotated, Literal

from typing_extensions import TypedDict

from panel.environments.answers import Forward
from panel.http.answers import As, Id, Moment
from panel.operations.answers import Operation


class Address(TypedDict):
    id: Id
    address: str
    family: Annotated[int, As(Literal[4, 6])]
    tenant: Id | None
    environment: Id | None
    leased_at: Moment
    released_at: Moment | None


class AddedForward(Forward):
    operation: Operation | None
