"""While the database is away or locked, nobody waits for it who need not (`panel.http.database`)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from panel.config.health import healthz, readyz
from panel.http.database import DATABASE
from panel.http.database_away import database_away

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class NobodyWaits:
    """Before everything that reads the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # nothing of these is in a session, whatever cookie comes along
        if (view := {"/healthz": healthz, "/readyz": readyz}.get(request.path_info)) is not None:
            return view(request)
        if DATABASE.is_away or (DATABASE.is_locked and request.method not in _SAFE):
            return database_away(request)
        return self.get_response(request)
