import uuid

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import runtime.contract.base


class Migration(migrations.Migration):
    dependencies = [("nodes", "0002_cpu_pools")]

    operations = [
        migrations.AddField(
            model_name="node",
            name="devices_revision",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="HostDevice",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=63,
                        validators=[
                            django.core.validators.RegexValidator(runtime.contract.base.NAME_PATTERN)
                        ],
                    ),
                ),
                ("known_by", models.JSONField()),
                (
                    "node",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="host_devices",
                        to="nodes.node",
                    ),
                ),
            ],
            options={
                "ordering": ["node", "name"],
                "constraints": [models.UniqueConstraint(fields=("node", "name"), name="host_device_once")],
            },
        ),
    ]
