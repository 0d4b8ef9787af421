"""The gate for HTTP: what path, query, headers, cookies and forms hold can be kept, or it is a 400."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.template.loader import get_template
from django.utils.translation import gettext as _

from panel.gate.archives import FILE
from panel.gate.archives import ROUTES as ARCHIVES
from panel.gate.text import first_unusable, is_usable, sentence
from panel.http.problem import problem

_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
#: Names of UTF-8 and its part (IANA, case doesn't count); JSON and forms are never anything else.
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_JSON = "application/json"


class Gate:
    """Behind the language of whoever asks, and before session, user and everything that reads the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return _refusal(request) or self.get_response(request)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    is_api = request.path_info.startswith("/api/")
    if (request.content_params or {}).get("charset", "").lower() not in _CHARSETS:
        return refuse(request, 415, "charset", _("What is sent here is UTF-8."), "Content-Type")
    if not is_usable(request.path_info):
        return refuse(request, 400, "unusable_text", sentence())
    odd = first_unusable((name, value) for name, values in request.GET.lists() for value in values)
    if odd is None:
        odd = first_unusable((k, v) for k, v in request.META.items() if k.startswith("HTTP_"))
    if odd is None:
        odd = first_unusable(request.COOKIES.items())
    if odd is None and not is_api and request.content_type in _FORMS and request.path_info not in ARCHIVES:
        odd = _odd_field(request)
    if odd is not None:
        return refuse(request, 400, "unusable_text", sentence(), odd)
    takes_bytes = request.path_info in ARCHIVES or (
        request.method == "PUT" and FILE.fullmatch(request.path_info)
    )
    if is_api and not takes_bytes and not _is_json(request):
        text = _("The body is JSON, with Content-Type: application/json.")
        return refuse(request, 415, "not_json", text, "Content-Type")
    return None


def _odd_field(request: HttpRequest) -> str | None:
    """The first field of a form that can't be kept; of files their names."""
    try:
        fields = [(name, value) for name, values in request.POST.lists() for value in values]
        files = [(name, one.name or "") for name, several in request.FILES.lists() for one in several]
    except UnreadablePostError:  # its sender is gone
        return None
    return first_unusable([*fields, *files])


def _is_json(request: HttpRequest) -> bool:
    """Of a body, as its header says; nobody asks for the kind of what isn't there."""
    kind = (request.content_type or "").lower()
    has_body = request.headers.get("Content-Length", "") not in ("", "0")
    return not has_body or kind in ("", _JSON) or (kind.startswith("application/") and kind.endswith("+json"))


def refuse(request: HttpRequest, status: int, code: str, words: str, field: str = "") -> HttpResponse:
    """A problem below /api/, a page of its own elsewhere: the frame around others reads the database."""
    if request.path_info.startswith("/api/"):
        return problem(status, code, words, field=field)
    return HttpResponse(get_template("400.html").render({"words": words, "field": field}), status=status)
