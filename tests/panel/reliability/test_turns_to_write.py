"""Who waits to write on SQLite gets on soon after the lock is free, however long it was held before."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from panel.sqlite import base

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's transaction."""
    other = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE t (n INTEGER)")
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def _ours(directory: Path, timeout_s: float) -> base.DatabaseWrapper:
    options = {"transaction_mode": "IMMEDIATE", "timeout": timeout_s}
    settings = {
        "ENGINE": "panel.sqlite",
        "NAME": str(directory / "db.sqlite3"),
        "OPTIONS": options,
        "TEST": {},
        **dict.fromkeys(("USER", "PASSWORD", "HOST", "PORT"), ""),
        **{"TIME_ZONE": None, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False},
        **{"ATOMIC_REQUESTS": False, "AUTOCOMMIT": True},
    }
    return base.DatabaseWrapper(settings, "turns")


def test_it_looks_again_every_few_milliseconds(
    tmp_path: Path, held: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 300:
            held.execute("COMMIT")

    monkeypatch.setattr(base.time, "sleep", pause)
    ours = _ours(tmp_path, 60)
    ours.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert len(pauses) == 300, "it began as soon as the lock was free"
    assert max(pauses) < 0.005
    assert ours.connection.execute("PRAGMA busy_timeout").fetchone() == (60_000,), "as all else has it"
    ours.close()


def test_it_gives_up_at_its_deadline(tmp_path: Path, held: sqlite3.Connection) -> None:
    ours, began = _ours(tmp_path, 0.2), time.monotonic()
    with pytest.raises(OperationalError, match="locked"):
        ours.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert time.monotonic() - began >= 0.2
    ours.close()
