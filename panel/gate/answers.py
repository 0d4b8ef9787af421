"""Answers of the API go out as their handlers have built them.

What a handler returns is a typed dict of the types that JSON has, as mypy has checked; the OpenAPI document is
made from the same type. Ninja would look at each value once more, and copy all of them.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI, Status

Handler = Callable[..., Any]


def as_built(api: NinjaAPI) -> Callable[[Handler], Handler]:
    """A decorator for all operations of that API (`add_decorator`)."""

    def decorator(handler: Handler) -> Handler:
        @wraps(handler)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            result = handler(request, *args, **kwargs)
            if isinstance(result, dict):
                return api.create_response(request, result, status=200)
            if isinstance(result, Status) and isinstance(result.value, dict):
                return api.create_response(request, result.value, status=result.status_code)
            return result

        return answered

    return decorator
