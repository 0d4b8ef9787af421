"""While the database is away or locked, nobody waits for it who need not.

A page waits for it as long as `WADAH_DATABASE_WAIT_S`, and few can wait at once. So whoever comes
within `REST_S` after one has waited in vain is answered at once; then one tries again.
"""

import time
from collections.abc import Callable

import psycopg
from django.db import InterfaceError, connection
from django.http import HttpRequest, HttpResponse

REST_S = 2.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Rest:
    """What this process found last: away (no reading), or locked (no writing)."""

    def __init__(self) -> None:
        self._away_until = self._locked_until = 0.0

    @property
    def is_away(self) -> bool:
        return time.monotonic() < self._away_until

    @property
    def is_locked(self) -> bool:
        return self.is_away or time.monotonic() < self._locked_until

    def failed(self, error: BaseException | None) -> None:
        """What one statement of one person ran into (its own deadline, a row's lock) says nothing of others."""
        if "database is locked" in str(error):
            self._locked_until = time.monotonic() + REST_S
        elif isinstance(error, InterfaceError) or _has_lost_its_server(error):
            self._away_until = time.monotonic() + REST_S

    def worked(self) -> None:
        self._away_until = self._locked_until = 0.0


def _has_lost_its_server(error: BaseException | None) -> bool:
    """A statement that the server refused has the server's code; where there is none nobody answered."""
    cause = error.__cause__ if error is not None else None
    return connection.vendor == "postgresql" and isinstance(cause, psycopg.Error) and cause.sqlstate is None


DATABASE = Rest()


class NobodyWaits:
    """Before everything that reads the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from panel.config.health import healthz, readyz  # noqa: PLC0415 (models aren't there yet at import)
        from panel.config.views import database_away  # noqa: PLC0415

        # nothing of these is in a session, whatever cookie comes along
        if (view := {"/healthz": healthz, "/readyz": readyz}.get(request.path_info)) is not None:
            return view(request)
        if DATABASE.is_away or (DATABASE.is_locked and request.method not in _SAFE):
            return database_away(request)
        return self.get_response(request)
