"""What is under way with an image on a node is told by its operation. What was under way is asked for anew: a node
tells what it has by itself."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def _end_what_is_under_way(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("images", "NodeImage").objects
    rows.filter(state__in=["waiting", "building"], observed_revision=0).update(code="image_missing", message="")
    rows.filter(state="deleting").update(is_wanted=True)


class Migration(migrations.Migration):

    dependencies = [
        ('images', '0005_said'),
        ('operations', '0008_subject_index'),
    ]

    operations = [
        migrations.RunPython(_end_what_is_under_way, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField(
            model_name='nodeimage',
            name='progress',
        ),
        migrations.RemoveField(
            model_name='nodeimage',
            name='sent_at',
        ),
        migrations.RemoveField(
            model_name='nodeimage',
            name='state',
        ),
        migrations.AddField(
            model_name='nodeimage',
            name='operation',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='operations.operation'),
        ),
    ]
