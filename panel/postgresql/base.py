"""A server that hangs is as one that is away.

`statement_timeout` is kept by the server, and a stopped one keeps none; on a unix socket nothing else ends it.
"""

from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.errors import _WaitTimeout

#: After the server's own deadline for a statement, which leaves the connection usable.
GRACE_S = 1.0


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: Any) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.wait = partial(bounded_wait, connection)
        return connection


def bounded_wait(connection: Any, generator: Any, *arguments: Any, **options: Any) -> Any:
    """psycopg's wait for an answer. `OperationalError`, and the connection is closed, when none comes."""
    options["timeout"] = options.get("timeout") or settings.WADAH.database_wait_s + GRACE_S
    try:
        return psycopg.Connection.wait(connection, generator, *arguments, **options)
    except _WaitTimeout:
        connection.pgconn.finish()
        raise psycopg.OperationalError("the database does not answer") from None
