"""Tests of the panel alone: a real database and a real Redis, and nodes that are only reports.

Settings are read when Django starts, so HOME, secrets and Redis are made when this file is.
SQLite in memory; with `TEST_DATABASE=postgresql` a PostgreSQL of the tests' own, for what needs both.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import django
import pytest

from panel.config.secrets import Secrets
from tests.panel.support import statements
from tests.panel.support.databases import leave_out_what_needs_one
from tests.support.postgres import postgresql
from tests.support.redis import redis_on

_stack = ExitStack()
HOME = Path(tempfile.mkdtemp(prefix="wadah-panel-"))
_stack.callback(shutil.rmtree, HOME, ignore_errors=True)
os.environ["WADAH_HOME"] = str(HOME)
os.environ["WADAH_URL"] = "http://testserver"
os.environ["DJANGO_SETTINGS_MODULE"] = "panel.config.settings"
if os.environ.get("TEST_DATABASE") == "postgresql":
    os.environ["DATABASE_URL"] = _stack.enter_context(postgresql())
Secrets.ensure(HOME)
_stack.enter_context(redis_on(HOME / "run" / "redis.sock"))
django.setup()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Processes of xdist inherit no HOME: each has this file make one of its own, with its own Redis."""
    if session.config.getoption("numprocesses", None):
        for name in ("WADAH_HOME", "DJANGO_SETTINGS_MODULE", "DATABASE_URL"):
            os.environ.pop(name, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("TEST_DATABASE") == "postgresql":
        leave_out_what_needs_one(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """On the first database: what it asks is written down, for the choice of those that the second one sees."""
    to = statements.directory()
    if to is None or os.environ.get("TEST_DATABASE"):
        return (yield)
    with statements.noted(item.nodeid, to):
        return (yield)


def pytest_unconfigure() -> None:
    _stack.close()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """It goes with its server; PostgreSQL takes five seconds to drop it."""
    return True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    """pytest-django asks for it right before it makes the database."""
    from tests.panel.support.migrated import taken_from_the_last_run

    with taken_from_the_last_run():
        yield


@pytest.fixture(autouse=True)
def audit_gives_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that commit are cleaned up by emptying every table: refused for audit records outside of tests."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    from django.apps import apps
    from django.db import connection

    from panel.audit import append_only

    with connection.schema_editor() as editor:
        append_only.remove(apps, editor)
        editor.execute("DELETE FROM audit_auditrecord")
        append_only.add(apps, editor)
        if connection.vendor == "postgresql":
            # the emptying that follows is one TRUNCATE over all tables
            editor.execute("ALTER TABLE audit_auditrecord DISABLE TRIGGER audit_no_truncate")


@pytest.fixture(scope="session", autouse=True)
def emptied_at_once() -> Iterator[None]:
    """What follows a test that commits empties the tables. Django then fills those of its own permissions anew,
    0.1 s of processor time each, and nothing of the panel asks for them."""
    from unittest.mock import patch

    with patch("django.core.management.commands.flush.emit_post_migrate_signal"):
        yield


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """Argon2 as always, at its smallest: tests set hundreds of passwords, which cost 0.2 s each otherwise."""
    from django.contrib.auth.hashers import Argon2PasswordHasher

    Argon2PasswordHasher.time_cost, Argon2PasswordHasher.memory_cost, Argon2PasswordHasher.parallelism = 1, 8, 1


@pytest.fixture(scope="session", autouse=True)
def plain_static_files() -> Iterator[None]:
    """Pages name files as they are: the manifest of hashed names is made by an installation."""
    from django.test import override_settings

    backend = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    from django.conf import settings

    with override_settings(STORAGES={**settings.STORAGES, "staticfiles": backend}):
        yield


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """A request leaves its reader's language behind in this thread; the next one sets its own."""
    from django.utils import translation

    yield
    translation.deactivate()


@pytest.fixture(autouse=True)
def empty_redis() -> None:
    """Counters of rate limits, caches and queues begin anew with every test."""
    import redis
    from django.core.cache.backends.locmem import LocMemCache

    from panel.circuit_breaker import BROKER
    from panel.http.database import DATABASE

    redis.Redis(unix_socket_path=str(HOME / "run" / "redis.sock")).flushall()
    LocMemCache("while-redis-is-away", {}).clear()
    BROKER.worked()
    DATABASE.worked()
