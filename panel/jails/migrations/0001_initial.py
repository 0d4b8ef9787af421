"""Numbers of jails; those that are there already are counted by when they were made."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def number_those_that_are(apps: Any, _schema_editor: Any) -> None:
    environment = apps.get_model("environments", "Environment")
    number = apps.get_model("jails", "JailNumber")
    counted: dict[Any, int] = {}
    for pk, tenant in (
        environment.objects.filter(kind="jail", deleted_at=None)
        .order_by("created_at", "pk")
        .values_list("pk", "tenant_id")
    ):
        counted[tenant] = counted.get(tenant, 0) + 1
        number.objects.create(environment_id=pk, tenant_id=tenant, number=counted[tenant])


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("environments", "0001_schema"),
        ("tenants", "0001_schema"),
    ]

    operations = [
        migrations.CreateModel(
            name="JailNumber",
            fields=[
                (
                    "environment",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="jail_number",
                        serialize=False,
                        to="environments.environment",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "number"), name="jail_number_once")
                ],
            },
        ),
        migrations.RunPython(number_those_that_are, migrations.RunPython.noop),
    ]
