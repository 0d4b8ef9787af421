"""The database as files, and back: on SQLite the copy alone, since that of these tests is in memory."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from panel.tenants.models import Tenant
from panel.upkeep import dumps
from tests.panel.support import factories

POSTGRESQL = os.environ.get("TEST_DATABASE") == "postgresql"


@pytest.mark.skipif(POSTGRESQL, reason="of SQLite")
@pytest.mark.django_db(transaction=True)
def test_the_copy_is_a_whole_database(tmp_path: Path) -> None:
    slug = factories.tenant().slug
    dumps.dump(tmp_path)
    with closing(sqlite3.connect(tmp_path / dumps.SQLITE)) as copy:
        assert (slug,) in copy.execute("SELECT slug FROM tenants_tenant").fetchall()
    dumps._check_sqlite(tmp_path / dumps.SQLITE)
    spoiled = bytearray((tmp_path / dumps.SQLITE).read_bytes())
    spoiled[4096 : 4096 * 3] = os.urandom(4096 * 2)
    (tmp_path / dumps.SQLITE).write_bytes(spoiled)
    with pytest.raises(dumps.DumpRefused, match="damaged"):
        dumps._check_sqlite(tmp_path / dumps.SQLITE)


@pytest.mark.skipif(not POSTGRESQL, reason="of PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_all_of_it_comes_back_or_nothing(tmp_path: Path) -> None:
    before = factories.tenant().slug
    dumps.dump(tmp_path)
    since = factories.tenant().slug
    whole = (tmp_path / dumps.POSTGRESQL).read_text()
    (tmp_path / dumps.POSTGRESQL).write_text(whole + "SELECT * FROM of_nobody;\n")
    with pytest.raises(dumps.DumpRefused, match="of_nobody"):
        dumps.load(tmp_path)
    assert Tenant.objects.filter(slug__in=[before, since]).count() == 2
    (tmp_path / dumps.POSTGRESQL).write_text(whole)
    dumps.load(tmp_path)
    assert list(Tenant.objects.filter(slug__in=[before, since]).values_list("slug", flat=True)) == [before]
    assert factories.tenant().pk  # and it is written to


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"migrations": [["tenants", "9999_of_tomorrow"]]}, "newer code"),
        ({"migrations": [["backups", "0001_initial"]]}, "so old"),
        ({"database": "of another kind"}, "no database"),
        ({"migrations": "x"}, "no database"),
        (None, "no database"),
    ],
    ids=["newer", "half_way", "unknown", "odd", "empty"],
)
def test_what_is_none_of_ours_is_refused_before_anything_is_changed(
    tmp_path: Path, changed: dict[str, object] | None, says: str
) -> None:
    there = factories.tenant().slug
    if changed is not None:
        about = {"database": connection.vendor, "migrations": [], **changed}
        (tmp_path / dumps.ABOUT).write_text(json.dumps(about))
        for name in (dumps.SQLITE, dumps.POSTGRESQL):
            (tmp_path / name).touch()
    with pytest.raises(dumps.DumpRefused, match=says):
        dumps.load(tmp_path)
    assert Tenant.objects.filter(slug=there).exists()
