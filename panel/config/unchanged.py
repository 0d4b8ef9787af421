"""The same question, asked again within a second while nothing was written, gets the same answer.

Lists and states are asked for again and again, by pages that refresh themselves and by programs that wait.
Whether anything was written is asked of the database itself, so that no change, by whomever, is ever missed;
the second bounds what depends on the clock alone, such as a token's end.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import local
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

#: What is answered from the database and the clock alone, by path or beginning of a path.
_PATHS = ("/environments/",)
_BELOW = ("/api/v1/environments", "/api/v1/operations")
KEPT_S = 1.0
#: Of one thread, at most 16 MiB together.
MOST_ANSWERS, MOST_BYTES = 64, 256 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    version: object
    until: float
    body: bytes
    headers: dict[str, str]


class UnchangedMiddleware:
    """Before sessions and everything that asks the database: on a repeated question none of it runs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._of_thread = local()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "GET" or not (request.path in _PATHS or request.path.startswith(_BELOW)):
            return self.get_response(request)
        version = database_version()
        if version is None:
            return self.get_response(request)
        answers = self._answers()
        question = _question(request.META)
        kept = answers.get(question)
        if kept is not None and kept.version == version and time.monotonic() < kept.until:
            return HttpResponse(kept.body, headers=kept.headers)
        until = time.monotonic() + KEPT_S
        answer = self.get_response(request)
        if _may_be_kept(answer) and database_version() == version:
            answers[question] = _Kept(version, until, answer.content, dict(answer.headers))
            answers.move_to_end(question)
            if len(answers) > MOST_ANSWERS:
                answers.popitem(last=False)
        return answer

    def _answers(self) -> OrderedDict[tuple[Any, ...], _Kept]:
        found: OrderedDict[tuple[Any, ...], _Kept] | None = getattr(self._of_thread, "answers", None)
        if found is None:
            found = self._of_thread.answers = OrderedDict()
        return found


def _question(meta: dict[str, Any]) -> tuple[Any, ...]:
    """All that an answer can depend on: path, query, peer, every header, those that say who asks included."""
    headers = [one for one in meta.items() if one[0].startswith("HTTP_") and one[0] != "HTTP_X_REQUEST_ID"]
    return meta.get("PATH_INFO"), meta.get("QUERY_STRING"), meta.get("REMOTE_ADDR"), *sorted(headers)


def _may_be_kept(answer: HttpResponse) -> bool:
    return (
        answer.status_code == 200
        and not answer.streaming
        and not answer.cookies
        and len(answer.content) <= MOST_BYTES
    )


def database_version() -> object:
    """Equal to an earlier one of this thread only when every query would find just what it found then.

    None inside a transaction, whose own view this says nothing about, and on databases that can't tell.
    SQLite counts what other connections commit (`PRAGMA data_version`) and what this one changes; in
    PostgreSQL it is the snapshot, which names every transaction that is seen.
    """
    if connection.in_atomic_block:
        return None
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        raw = connection.connection
        return raw, raw.execute("PRAGMA data_version").fetchone()[0], raw.total_changes
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_snapshot()::text")
            return connection.connection, cursor.fetchone()[0]
    return None
