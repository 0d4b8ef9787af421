"""What is wanted of an environment is one document: its columns move into it, and back."""

from typing import Any

from django.db import migrations, models

_AT_ONCE = 500
#: Column by its place in the document.
_COLUMNS = {
    "limits": "limits",
    "network": "network_options",
    "security": "security",
    "devices": "devices",
    "restart": "restart",
    "stop_timeout_s": "stop_timeout_s",
}
_OPTIONS = {"nameservers": [], "allow_private": False, "allow_smtp": False}
_SECURITY = {"confinement": "default", "nesting": False, "firewall": False, "compat32": False}
_RESTART = {"mode": "always", "first_delay_s": 0.5, "max_delay_s": 60.0}
_MISSING = {"network": _OPTIONS, "security": _SECURITY, "restart": _RESTART}


def _document(values: dict[str, Any]) -> dict[str, Any]:
    found = {name: values[column] for name, column in _COLUMNS.items()}
    for name, defaults in _MISSING.items():
        found[name] = {**defaults, **(found[name] or {})}
    return {**found, "protected": False}


def _each(model: Any, **filters: Any) -> Any:
    pks = list(model.objects.filter(**filters).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(pks), _AT_ONCE):
        yield list(model.objects.filter(pk__in=pks[start : start + _AT_ONCE]))


def into_document(apps: Any, _editor: Any) -> None:
    environment = apps.get_model("environments", "Environment")
    for rows in _each(environment):
        for row in rows:
            row.intent = _document({column: getattr(row, column) for column in _COLUMNS.values()})
        environment.objects.bulk_update(rows, ["intent"])
    operation = apps.get_model("operations", "Operation")
    for rows in _each(operation, before__has_key="limits"):
        for row in rows:
            kept = {key: value for key, value in row.before.items() if key not in _COLUMNS.values()}
            row.before = {**kept, "intent": _document({c: row.before.get(c) for c in _COLUMNS.values()})}
        operation.objects.bulk_update(rows, ["before"])


def into_columns(apps: Any, _editor: Any) -> None:
    environment = apps.get_model("environments", "Environment")
    for rows in _each(environment):
        for row in rows:
            for name, column in _COLUMNS.items():
                setattr(row, column, row.intent[name])
        environment.objects.bulk_update(rows, list(_COLUMNS.values()))
    operation = apps.get_model("operations", "Operation")
    for rows in _each(operation, before__has_key="intent"):
        for row in rows:
            intent = row.before.pop("intent")
            row.before = {**row.before, **{column: intent[name] for name, column in _COLUMNS.items()}}
        operation.objects.bulk_update(rows, ["before"])


class Migration(migrations.Migration):
    dependencies = [("environments", "0009_said"), ("operations", "0005_said"), ("quotas", "0003_recount")]

    operations = [
        migrations.AddField("environment", "intent", models.JSONField(default=dict)),
        migrations.AddField("environment", "held", models.JSONField(blank=True, default=dict)),
        migrations.AddField("environment", "stop_within_s", models.FloatField(blank=True, null=True)),
        migrations.AlterField("environment", "limits", models.JSONField(default=dict)),
        migrations.RunPython(into_document, into_columns),
        migrations.AlterField("environment", "intent", models.JSONField()),
        *(migrations.RemoveField("environment", column) for column in _COLUMNS.values()),
    ]
