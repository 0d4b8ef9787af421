"""Answers for addresses that lead nowhere."""

from django.http import HttpRequest, HttpResponse
from django.views.defaults import page_not_found

from panel.api.problem import problem


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """problem+json below /api/, a page elsewhere."""
    if request.path.startswith("/api/"):
        return problem(404, "not_found", "There is nothing at this address.")
    return page_not_found(request, exception)
