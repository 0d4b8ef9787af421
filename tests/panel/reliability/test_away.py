"""While the database is locked or hangs: what needs none goes on, and the rest is told so at once."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from django.test import Client

from panel.config import health
from panel.http.database import DATABASE
from panel.postgresql import base
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_POSTGRESQL = pytest.mark.skipif("TEST_DATABASE" not in os.environ, reason="only with TEST_DATABASE=postgresql")


@pytest.fixture(autouse=True)
def rest() -> Iterator[None]:
    yield
    DATABASE.worked()


def _signed_in() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(factories.person(), "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_while_locked_whoever_writes_is_told_at_once_and_whoever_reads_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = _signed_in()
    monkeypatch.setattr(DATABASE, "_locked_until", float("inf"))
    assert client.get("/environments/").status_code == 200
    assert client.get("/healthz").status_code == 200
    for path in ("/profile/", "/accounts/login/", "/api/v1/environments"):
        answer = client.post(path, b"{}", content_type="application/json")
        assert answer.status_code == 503, path
        assert int(answer["Retry-After"]) > 0
    assert "locked" in str(client.get("/readyz").json()["problems"])


def test_while_away_nobody_waits() -> None:
    client = _signed_in()
    with patch.object(DATABASE, "_away_until", float("inf")), patch.object(connection, "cursor", _never):
        assert client.get("/healthz").status_code == 200
        assert client.get("/environments/").status_code == 503
        assert client.get("/api/v1/environments").json()["code"] == "database_away"
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "database" in ready.json()["problems"][0]


def _never(*_: object) -> None:
    raise AssertionError("the database was asked")


def test_one_persons_slow_statement_closes_nothing_to_others() -> None:
    for words in ("canceling statement due to statement timeout", "deadlock detected", "disk I/O error"):
        DATABASE.failed(OperationalError(words))
        assert not DATABASE.is_locked
    DATABASE.failed(OperationalError("database is locked"))
    assert DATABASE.is_locked
    assert not DATABASE.is_away


@_POSTGRESQL
def test_a_server_that_hangs_is_as_one_that_is_away() -> None:
    """Its process for one connection of ours is stopped: `statement_timeout` is its own, and it keeps none."""
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            short = settings.WADAH.model_copy(update={"database_wait_s": 0.2})
            with (
                patch.object(settings, "WADAH", short),
                patch.object(base, "GRACE_S", 0.1),
                pytest.raises(OperationalError) as told,
                own.cursor() as cursor,
            ):
                cursor.execute("SELECT 1")
            DATABASE.failed(told.value)
            assert DATABASE.is_away
        finally:
            os.kill(pid, signal.SIGCONT)
    finally:
        own.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.skipif("TEST_DATABASE" in os.environ, reason="of SQLite")
def test_readiness_sees_that_somebody_holds_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "db.sqlite3"
    own = connections.create_connection(DEFAULT_DB_ALIAS)
    own.settings_dict = {
        **own.settings_dict,
        "NAME": str(file),
        "OPTIONS": settings.DATABASES["default"]["OPTIONS"],
    }
    own.ensure_connection()
    holder = sqlite3.connect(file, isolation_level=None)
    with patch.object(health, "connection", own), patch.object(health, "_LOCK_PATIENCE_MS", 50):
        assert health.check_database() == ""
        holder.execute("BEGIN IMMEDIATE")
        assert "locked" in health.check_database()
        holder.execute("ROLLBACK")
        assert health.check_database() == ""
    assert own.connection.execute("PRAGMA busy_timeout").fetchone()[0] == settings.WADAH.database_wait_s * 1000
    holder.close()
    own.close()
