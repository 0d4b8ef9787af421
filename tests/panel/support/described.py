"""What the API's handlers say of their answers, for tests that hold real answers against it."""

from functools import cache
from typing import Any

from ninja.constants import NOT_SET
from pydantic import TypeAdapter

from panel.api.root import api


@cache
def answers() -> dict[str, TypeAdapter[Any]]:
    """By operation, what it answers when all is well; those that answer with a document."""
    found = {}
    for _prefix, router in api._routers:
        for view in router.path_operations.values():
            for operation in view.operations:
                for status, model in operation.response_models.items():
                    if model not in (None, NOT_SET) and 200 <= status < 300:
                        shape = model.__annotations__["response"]
                        found[operation.operation_id] = TypeAdapter(shape)
    return found


def check(name: str, document: Any) -> None:
    """That it is what is described, and has no field beside."""
    answers()[name].validate_python(document, extra="forbid")
