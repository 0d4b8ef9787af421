"""Whether the database answers, as this process found last.

A page waits for it as long as `WADAH_DATABASE_WAIT_S`, and few can wait at once. So whoever comes
within `REST_S` after one has waited in vain is answered at once; then one tries again.
"""

import time

import psycopg
from django.db import InterfaceError, connection

REST_S = 2.0


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
