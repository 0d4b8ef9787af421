"""Answers of the API that come later."""

from collections.abc import Mapping
from typing import cast

from django.http import HttpRequest, HttpResponse, JsonResponse

from panel.http.problem import refused
from panel.serving.later import Work, later
from panel.serving.shares import Place


def document(body: Mapping[str, object]) -> JsonResponse:
    """As the API gives all of them."""
    return JsonResponse(body, content_type="application/json; charset=utf-8")


def promised(request: HttpRequest, work: Work, place: Place) -> HttpResponse:
    """What `work` will give; what it refuses is said as problem+json. The place is given back after it."""
    # no HttpResponse, but what ninja passes on in the place of one
    return cast("HttpResponse", later(request, work, on_refused=refused, place=place))
