"""The panel's database as files, and back: SQLite by its own copy, PostgreSQL by pg_dump and psql."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

#: In the directory of a dump.
ABOUT, SQLITE, POSTGRESQL = "about.json", "db.sqlite3", "database.sql"
_FILES = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
#: Before what pg_dump wrote, and in one transaction with it.
_EMPTIED = "DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n"
_WITHIN_S = 3 * 3600.0


class DumpRefused(Exception):
    """With a sentence; nothing was changed."""


def dump(directory: Path) -> None:
    """The database of one moment, into an empty directory, while everything goes on."""
    about = {
        "database": connection.vendor,
        "at": timezone.now().isoformat(),
        "migrations": sorted(map(list, MigrationLoader(connection).applied_migrations)),
    }
    (directory / ABOUT).write_text(json.dumps(about, indent=2))
    if connection.vendor == "sqlite":
        _dump_sqlite(directory / SQLITE)
    else:
        target = directory / POSTGRESQL
        _run(["pg_dump", "--no-owner", "--no-privileges", f"--file={target}"])


def load(directory: Path) -> None:
    """In place of what there is, all of it or nothing; then brought up to this code. Everybody signs in anew.
    Raises `DumpRefused` for what isn't of this kind of database, or of newer code."""
    about = _about_of(directory)
    if about["database"] != connection.vendor:
        raise DumpRefused(
            f"it is a database of {about['database']}, and this installation's is {connection.vendor}"
        )
    _refuse_other_code(about["migrations"])
    if connection.vendor == "sqlite":
        _load_sqlite(directory / SQLITE)
    else:
        _load_postgresql(directory / POSTGRESQL)
    call_command("migrate", interactive=False, verbosity=0)
    _end_sessions()


def _refuse_other_code(done: Collection[tuple[str, str]]) -> None:
    """A step of this code stands for those that it replaces: for all of them, or none."""
    loader = MigrationLoader(None, ignore_no_migrations=True, load=False)
    loader.load_disk()
    known = set(loader.disk_migrations)
    for key, step in loader.disk_migrations.items():
        known.update(step.replaces)
        there = sum(one in done for one in step.replaces)
        if key not in done and 0 < there < len(step.replaces):
            raise DumpRefused("it comes from code so old that this one doesn't come after it")
    if newer := [f"{app}.{name}" for app, name in done if (app, name) not in known]:
        raise DumpRefused(f"it comes from newer code, which this one can't read ({newer[0]})")


def _about_of(directory: Path) -> dict[str, Any]:
    try:
        about = json.loads((directory / ABOUT).read_text())
        database = str(about["database"])
        migrations = [(str(app), str(name)) for app, name in about["migrations"]]
    except (OSError, ValueError, KeyError, TypeError) as odd:
        raise DumpRefused("it holds no database of a panel") from odd
    if not (directory / _FILES.get(database, "?")).is_file():
        raise DumpRefused("it holds no database of a panel")
    return {"database": database, "migrations": migrations}


def _end_sessions() -> None:
    """Who was signed out since would be signed in again."""
    from allauth.usersessions.models import UserSession  # noqa: PLC0415 - models aren't there yet at import
    from django.contrib.sessions.models import Session  # noqa: PLC0415

    UserSession.objects.all().delete()
    Session.objects.all().delete()


# SQLite ------------------------------------------------------------------------------------------


def _dump_sqlite(target: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(target)) as copy:
        connection.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _load_sqlite(source: Path) -> None:
    """By rename, beside what was there: nobody uses it meanwhile."""
    _check_sqlite(source)
    there = Path(settings.DATABASES["default"]["NAME"])
    connection.close()
    fresh = there.with_name(f"{there.name}.new")
    shutil.copyfile(source, fresh)
    fresh.chmod(0o640)
    descriptor = os.open(fresh, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    for name in ("-wal", "-shm"):
        there.with_name(there.name + name).unlink(missing_ok=True)
    fresh.replace(there)


def _check_sqlite(source: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro&immutable=1", uri=True)) as copy:
            said = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as odd:
        said = str(odd)
    if said != "ok":
        raise DumpRefused(f"the database in it is damaged: {said}")


# PostgreSQL --------------------------------------------------------------------------------------


def _load_postgresql(source: Path) -> None:
    """Its user owns the database, so it may make the schema anew."""
    emptied = source.with_name("emptied.sql")
    emptied.write_text(_EMPTIED)
    connection.close()
    words = ["psql", "--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1"]
    _run([*words, "--output=/dev/null", f"--file={emptied}", f"--file={source}"])


def _run(words: list[str]) -> None:
    """Where the database is, and its password, by the environment of libpq: on no command line."""
    program = _program(words[0])
    if program is None:
        raise DumpRefused(f"{words[0]} is not installed: apt install postgresql-client")
    done = subprocess.run(
        [program, *words[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **_of_libpq()},
        timeout=_WITHIN_S,
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.strip().splitlines() if line]
        causes = [line for line in said if "error:" in line.lower()] or said[-1:]
        raise DumpRefused(f"{words[0]}: {causes[0][:300] if causes else f'code {done.returncode}'}")


def _program(name: str) -> str | None:
    """The newest of those that Debian keeps apart: an older one reads no newer server."""
    apart = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda one: float(one.parts[4]))
    return str(apart[-1]) if apart else shutil.which(name)


def _of_libpq() -> dict[str, str]:
    known = settings.DATABASES["default"]
    names = {
        "HOST": "PGHOST",
        "PORT": "PGPORT",
        "USER": "PGUSER",
        "PASSWORD": "PGPASSWORD",
        "NAME": "PGDATABASE",
    }
    options = known.get("OPTIONS", {})
    found = {variable: str(known[name]) for name, variable in names.items() if known.get(name)}
    for name in ("sslmode", "sslrootcert", "sslcert", "sslkey"):
        if options.get(name):
            found[f"PG{name.upper()}"] = str(options[name])
    return found
