"""An index over paths of any length: SP-GiST takes values that a B-tree refuses (over 2,704 bytes)."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def add(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("CREATE INDEX tenant_path_spgist ON tenants_tenant USING spgist (path text_ops)")


def drop(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP INDEX tenant_path_spgist")


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_depth_and_deletion")]
    operations = [migrations.RunPython(add, drop)]
