"""Trigrams for the search in names, descriptions and images: `LIKE '%…%'` without reading every row.

pg_trgm comes with PostgreSQL and may be added by whoever owns the database. Where it isn't installed, the search goes
without: as right, and slower with very many environments. The expression is that of `search.Words`.
"""

from django.db import Error, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_WORDS = "lower(name || E'\\n' || description || E'\\n' || image)"


def add(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=editor.connection.alias):
            editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            editor.execute(
                f"CREATE INDEX environment_by_words ON environments_environment USING gin (({_WORDS}) gin_trgm_ops)"
                " WHERE deleted_at IS NULL"
            )
    except Error as lacking:
        print(f" (no index for the search: {str(lacking).splitlines()[0]})", end="")


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP INDEX IF EXISTS environment_by_words")


class Migration(migrations.Migration):
    dependencies = [("environments", "0007_devices")]
    operations = [migrations.RunPython(add, drop)]
