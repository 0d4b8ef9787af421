"""Operations are about subjects of any type; those there are are about environments."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import panel.said


def _name_subjects(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("operations", "Operation").objects.exclude(environment=None).order_by()
    pks = list(rows.values_list("environment_id", flat=True).distinct())
    for pk in pks:
        rows.filter(environment_id=pk).update(subject_id=str(pk))


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0010_intent'),
        ('operations', '0006_alter_operation_kind'),
        ('tenants', '0006_asking_for_second_factor'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameField('operation', 'environment_name', 'subject_name'),
        migrations.AlterField(
            model_name='operation',
            name='subject_name',
            field=models.CharField(blank=True, default='', max_length=64),
        ),
        migrations.AddField(
            model_name='operation',
            name='subject_type',
            field=models.CharField(choices=[('environment', 'environment'), ('tenant', 'tenant'), ('image', 'image')], default='environment', max_length=16),
        ),
        migrations.AddField(
            model_name='operation',
            name='subject_id',
            field=models.CharField(blank=True, default='', max_length=64),
        ),
        migrations.AddField(
            model_name='operation',
            name='progress',
            field=models.FloatField(default=0),
        ),
        migrations.AddField(
            model_name='operation',
            name='doing',
            field=panel.said.SaidField(blank=True, default=''),
        ),
        migrations.AlterField(
            model_name='operation',
            name='tenant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='operations', to='tenants.tenant'),
        ),
        migrations.AlterField(
            model_name='operation',
            name='kind',
            field=models.CharField(choices=[('create', 'create'), ('update', 'update'), ('start', 'start'), ('stop', 'stop'), ('restart', 'restart'), ('pause', 'pause'), ('resume', 'resume'), ('reinstall', 'reinstall'), ('credentials', 'change credentials'), ('forwards', 'change port forwards'), ('addresses', 'change addresses'), ('snapshot', 'change snapshots'), ('restore', 'restore a snapshot'), ('suspend', 'suspend'), ('delete', 'delete'), ('build', 'build')], max_length=16),
        ),
        migrations.RunPython(_name_subjects, migrations.RunPython.noop, elidable=True),
    ]
