"""The same question, asked again within a second while nothing was written, gets the same answer.

Lists and states are asked for again and again, by pages that refresh themselves and by programs that wait.
Whether anything was written is asked of the database itself, so that no change, by whomever, is ever missed;
the second bounds what depends on the clock alone, such as a token's end.

A page under load that writes takes a fifth less of the processor's time by it: docs/decisions/0008.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import local
from typing import Any, TypeGuard
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.db import DatabaseError, connection
from django.http import HttpResponse

from panel.config.middleware import request_id

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
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class AnswerCache:
    """Around Django's own application: on a repeated question none of it runs, not even the reading of it."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application
        self._of_thread = local()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        version = _version_for(environ)
        if version is None:
            return self.application(environ, start_response)
        answers = self._answers()
        question = _question(environ)
        kept = answers.get(question)
        if kept is not None and kept.version == version and time.monotonic() < kept.until:
            asked_as = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
            start_response(kept.status, [*kept.headers, ("X-Request-Id", asked_as)])
            return [kept.body]
        until = time.monotonic() + KEPT_S
        heads = list[tuple[str, list[tuple[str, str]]]]()

        def note(status: str, headers: list[tuple[str, str]], *exception: Any) -> Any:
            heads.append((status, headers))
            return start_response(status, headers, *exception)

        answer = self.application(environ, note)
        if _may_be_kept(answer) and database_version() == version:
            status, headers = heads[-1]
            own = [one for one in headers if one[0] != "X-Request-Id"]
            answers[question] = _Kept(version, until, status, own, answer.content)
            answers.move_to_end(question)
            if len(answers) > MOST_ANSWERS:
                answers.popitem(last=False)
        return answer

    def _answers(self) -> OrderedDict[tuple[Any, ...], _Kept]:
        found: OrderedDict[tuple[Any, ...], _Kept] | None = getattr(self._of_thread, "answers", None)
        if found is None:
            found = self._of_thread.answers = OrderedDict()
        return found


def _version_for(environ: WSGIEnvironment) -> object:
    """None: this question is always asked anew, or the database is away, which Django has the words for."""
    path = environ.get("PATH_INFO", "")
    if environ["REQUEST_METHOD"] != "GET" or not (path in _PATHS or path.startswith(_BELOW)):
        return None
    try:
        return database_version()
    except DatabaseError:
        return None


def _question(environ: WSGIEnvironment) -> tuple[Any, ...]:
    """All that an answer can depend on: path, query, peer, every header, those that say who asks included."""
    headers = [one for one in environ.items() if one[0].startswith("HTTP_") and one[0] != "HTTP_X_REQUEST_ID"]
    return environ["PATH_INFO"], environ.get("QUERY_STRING"), environ.get("REMOTE_ADDR"), *sorted(headers)


def _may_be_kept(answer: Iterable[bytes]) -> TypeGuard[HttpResponse]:
    return (
        isinstance(answer, HttpResponse)
        and answer.status_code == 200
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
