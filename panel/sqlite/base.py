"""Whoever waits to write gets on soon after the lock is free.

SQLite's own waiting asks again after pauses that grow to 100 ms. A process that writes now and then so waited
ten times as long as anybody held the lock: between two of its looks others came and went.
"""

import random
import sqlite3
import time
from contextlib import suppress

from django.db import OperationalError
from django.db.backends.sqlite3 import base

#: Between two looks: as long as a small transaction takes.
LOOK_S = (0.001, 0.004)


class DatabaseWrapper(base.DatabaseWrapper):
    def _start_transaction_under_autocommit(self) -> None:
        """As Django's. Raises its `OperationalError` when the lock isn't free within the setting `timeout`."""
        wait_s = float(self.settings_dict["OPTIONS"].get("timeout", 5.0))
        until = time.monotonic() + wait_s
        self.ensure_connection()
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    super()._start_transaction_under_autocommit()  # type: ignore[misc]
                    return
                except OperationalError as refused:
                    if "locked" not in str(refused) or time.monotonic() > until:
                        raise
                time.sleep(random.uniform(*LOOK_S))  # noqa: S311 (who comes first is no secret)
        finally:
            with suppress(sqlite3.Error):
                self.connection.execute(f"PRAGMA busy_timeout = {int(wait_s * 1000)}")
