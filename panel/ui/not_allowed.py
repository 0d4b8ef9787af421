"""A page in place of the empty answer to a browser that opens an address which takes forms only."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render


class NotAllowedPage:
    """Gives a 405 without a word a page, for whoever reads HTML. The status and the `Allow` header stay."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        reads_html = "text/html" in request.headers.get("Accept", "")
        if not isinstance(answer, HttpResponseNotAllowed) or answer.content or not reads_html:
            return answer
        page = render(request, "405.html", status=405)
        page.headers["Allow"] = answer.headers["Allow"]
        return page
