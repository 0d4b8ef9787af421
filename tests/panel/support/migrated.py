"""The migrated database of tests on SQLite, kept from run to run: making it takes 6 s of a processor."""

import fcntl
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.db import connection

CHECKOUT = Path(__file__).resolve().parents[3]
KEPT = CHECKOUT / ".pytest_cache"


def key() -> str:
    """Another one for other migrations, and for other versions of Django and of the apps of others."""
    of = hashlib.sha256((CHECKOUT / "requirements" / "dev.lock").read_bytes())
    for file in sorted(CHECKOUT.glob("panel/**/migrations/*.py")):
        of.update(file.name.encode() + file.read_bytes())
    return of.hexdigest()[:16]


@contextmanager
def taken_from_the_last_run() -> Iterator[None]:
    """A database that Django makes meanwhile is a copy of the kept one, which `migrate` then finds nothing to
    do in; where there is none, the one that was made is kept. Does nothing on other databases."""
    if connection.vendor != "sqlite":
        yield
        return
    KEPT.mkdir(exist_ok=True)
    kept = KEPT / f"migrated-{key()}.sqlite3"
    creation = connection.creation
    make, migrate = creation._create_test_db, creation.create_test_db
    opened: list[sqlite3.Connection] = []

    def made(*args: Any, **more: Any) -> str:
        name: str = make(*args, **more)
        if kept.exists():
            # held open until Django has its own: what lies in memory goes with who opened it last
            opened.append(sqlite3.connect(name, uri=True))
            with closing(sqlite3.connect(kept)) as known:
                known.backup(opened[0])
        return name

    def migrated(*args: Any, **more: Any) -> str:
        with (KEPT / "migrated.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one makes it
            name: str = migrate(*args, **more)
            if not kept.exists():
                fresh = kept.with_suffix(".new")
                fresh.unlink(missing_ok=True)
                with closing(sqlite3.connect(fresh)) as to:
                    connection.connection.backup(to)
                for old in KEPT.glob("migrated-*.sqlite3"):
                    old.unlink()
                fresh.rename(kept)
        for one in opened:
            one.close()
        return name

    with (
        patch.object(creation, "_create_test_db", made),
        patch.object(creation, "create_test_db", migrated),
    ):
        yield
