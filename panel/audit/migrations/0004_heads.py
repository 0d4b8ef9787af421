"""A sealed head for each chain that is there already; and the guards anew.

SQLite makes a table anew to add a column with a default, and forgets its triggers with the old one: whoever adds
a field to AuditRecord calls `guard` after it (tests/panel/audit/test_chain.py misses them otherwise).
"""

from importlib import import_module
from typing import Any

from django.db import migrations

from panel.audit.seal import seal_of


def guard(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        append_only = import_module("panel.audit.migrations.0002_append_only")
        append_only.remove(apps, schema_editor)
        append_only.add(apps, schema_editor)


def add(apps: Any, schema_editor: Any) -> None:
    Record, Head = apps.get_model("audit", "AuditRecord"), apps.get_model("audit", "AuditHead")
    ends = {}
    for chain, sequence, digest in Record.objects.order_by("sequence").values_list("chain", "sequence", "digest"):
        ends[chain] = sequence, digest
    for chain, (sequence, digest) in ends.items():
        Head.objects.create(chain=chain, sequence=sequence, digest=digest, seal=seal_of(chain, sequence, digest))


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_heads_support_denied")]
    operations = [
        migrations.RunPython(guard, migrations.RunPython.noop),
        migrations.RunPython(add, migrations.RunPython.noop),
    ]
