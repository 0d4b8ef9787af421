"""The answer while the database can't be reached, or has no room."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import get_template

from panel.http.problem import RETRY_AFTER_S, problem

_AWAY = "The database can't be reached right now. Nothing was changed; environments and open terminals go on."
_FULL = (
    "The database has no room left on its disk, so nothing can be written. Nothing was changed; "
    "pages can be read, environments and open terminals go on."
)
_MAKE_ROOM = "An administrator makes room on the panel's disk; then it works again by itself."
_NEXT = "Try again in a few seconds; if it lasts, an administrator looks at the database."


def database_away(request: HttpRequest, *, is_full: bool = False) -> HttpResponse:
    """503 with Retry-After. A page of its own: the frame around every other page asks the database."""
    if request.path.startswith("/api/"):
        if is_full:
            return problem(503, "database_full", _FULL, next_step=_MAKE_ROOM)
        return problem(503, "database_away", _AWAY, next_step=_NEXT)
    answer = HttpResponse(get_template("503.html").render(), status=503)
    answer["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def is_full(error: BaseException | None) -> bool:
    """SQLite (SQLITE_FULL) and PostgreSQL (53100) both say so in a sentence only."""
    text = str(error)
    return "is full" in text or "No space left" in text
