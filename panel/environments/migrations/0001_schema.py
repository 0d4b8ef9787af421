"""Tables of environments, with trigrams for the search in names, descriptions and images: `LIKE '%…%'` without
reading every row.

pg_trgm comes with PostgreSQL and may be added by whoever owns the database. Where it isn't installed, the search goes
without: as right, and slower with very many environments. The expression is that of `search.Words`.
"""

import django.core.validators
import django.db.models.deletion
import panel.said
import runtime.contract.environment
import uuid
from django.conf import settings
from django.db import migrations, models

from django.db import Error, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_WORDS = "lower(name || E'\\n' || description || E'\\n' || image)"


def add_words(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
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


def drop_words(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP INDEX IF EXISTS environment_by_words")


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('environments', '0001_initial'),
        ('environments', '0002_heard_at'),
        ('environments', '0003_plans_and_traffic'),
        ('environments', '0004_list_indexes'),
        ('environments', '0005_tags'),
        ('environments', '0006_version'),
        ('environments', '0007_devices'),
        ('environments', '0008_search_words'),
        ('environments', '0009_said'),
        ('environments', '0010_intent'),
        ('environments', '0011_trash'),
        ('environments', '0012_apps'),
        ('environments', '0013_app_secrets'),
    ]

    dependencies = [
        ('nodes', '0001_schema'),
        ('plans', '0001_schema'),
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Environment',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63, validators=[django.core.validators.RegexValidator('^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$')])),
                ('description', models.CharField(blank=True, default='', max_length=400)),
                ('follows_plan', models.BooleanField(default=False)),
                ('plan_problem', models.CharField(blank=True, default='', max_length=400)),
                ('plan_tried_at', models.DateTimeField(blank=True, null=True)),
                ('traffic_state', models.CharField(blank=True, choices=[('slow', 'slowed down'), ('suspend', 'suspended')], default='', max_length=8)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('deleted_at', models.DateTimeField(blank=True, null=True)),
                ('trashed_at', models.DateTimeField(blank=True, null=True)),
                ('trash_ends_at', models.DateTimeField(blank=True, null=True)),
                ('trash', models.JSONField(blank=True, default=dict)),
                ('version', models.PositiveIntegerField(db_default=1, default=1)),
                ('generation', models.PositiveBigIntegerField(default=1)),
                ('desired_state', models.CharField(choices=[('running', 'running'), ('stopped', 'stopped'), ('paused', 'paused'), ('deleted', 'deleted')], default=runtime.contract.environment.DesiredState['RUNNING'], max_length=16)),
                ('kind', models.CharField(choices=[('system', 'system'), ('app', 'app'), ('jail', 'jail'), ('directory', 'directory')], default=runtime.contract.environment.Kind['SYSTEM'], max_length=16)),
                ('kernel', models.CharField(choices=[('shared', 'shared'), ('guarded', 'guarded'), ('own', 'own')], default=runtime.contract.environment.Kernel['SHARED'], max_length=16)),
                ('image', models.CharField(max_length=400)),
                ('slot', models.PositiveIntegerField(blank=True, null=True)),
                ('intent', models.JSONField()),
                ('secrets', models.JSONField(blank=True, db_default={}, default=dict)),
                ('ssh_keys', models.JSONField(blank=True, default=list)),
                ('root_password_hash', models.CharField(blank=True, default='', max_length=256)),
                ('credentials_revision', models.PositiveIntegerField(default=0)),
                ('boots', models.PositiveIntegerField(default=0)),
                ('installs', models.PositiveIntegerField(default=0)),
                ('keep_old_root', models.BooleanField(default=False)),
                ('stop_within_s', models.FloatField(blank=True, null=True)),
                ('operation_id', models.UUIDField(blank=True, null=True)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('send_attempts', models.PositiveIntegerField(default=0)),
                ('app', models.JSONField(blank=True, null=True)),
                ('held', models.JSONField(blank=True, default=dict)),
                ('observed_state', models.CharField(blank=True, default='', max_length=16)),
                ('observed_generation', models.PositiveBigIntegerField(default=0)),
                ('attempted_generation', models.PositiveBigIntegerField(default=0)),
                ('observed_sequence', models.BigIntegerField(default=-1)),
                ('observed_at', models.DateTimeField(blank=True, null=True)),
                ('heard_at', models.DateTimeField(blank=True, null=True)),
                ('is_at_work', models.BooleanField(default=False)),
                ('code', models.CharField(blank=True, default='', max_length=64)),
                ('message', panel.said.SaidField(blank=True, default='')),
                ('next_step', panel.said.SaidField(blank=True, default='')),
                ('init_pid', models.IntegerField(blank=True, null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('restarts', models.PositiveIntegerField(default=0)),
                ('exit_code', models.IntegerField(blank=True, null=True)),
                ('oom_kills', models.PositiveIntegerField(default=0)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='environments', to='nodes.node')),
                ('plan_version', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='environments', to='plans.planversion')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='environments', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True), ('trashed_at__isnull', True)), fields=('tenant', 'name'), name='environment_name_once'),
                    models.UniqueConstraint(fields=('node', 'slot'), name='environment_slot_once'),
                    models.CheckConstraint(condition=models.Q(('deleted_at__isnull', False), ('slot__isnull', False), _connector='OR'), name='environment_has_slot'),
                    models.CheckConstraint(condition=models.Q(('desired_state__in', ['running', 'stopped', 'paused', 'deleted'])), name='environment_desired_known'),
                ],
            },
        ),
        migrations.CreateModel(
            name='EnvironmentUsage',
            fields=[
                ('environment', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='usage', serialize=False, to='environments.environment')),
                ('at', models.DateTimeField()),
                ('cpu', models.FloatField(default=0)),
                ('cpu_ns', models.BigIntegerField(default=0)),
                ('memory_bytes', models.BigIntegerField(default=0)),
                ('memory_max_bytes', models.BigIntegerField(default=0)),
                ('memory_hits', models.BigIntegerField(default=0)),
                ('swap_bytes', models.BigIntegerField(default=0)),
                ('processes', models.PositiveIntegerField(default=0)),
                ('process_hits', models.BigIntegerField(default=0)),
                ('disk_bytes', models.BigIntegerField(default=0)),
                ('network_in_bytes', models.BigIntegerField(default=0)),
                ('network_out_bytes', models.BigIntegerField(default=0)),
                ('network_link', models.PositiveBigIntegerField(default=0)),
                ('network_in_bit_s', models.FloatField(default=0)),
                ('network_out_bit_s', models.FloatField(default=0)),
                ('oom_kills', models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='EnvironmentTag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=32)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tags', to='environments.environment')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [
                    models.UniqueConstraint(fields=('environment', 'name'), name='environment_tag_once'),
                    models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='environment_tag_not_empty'),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(fields=['tenant', 'name'], name='environment_tenant__63d204_idx'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['name', 'id'], name='environment_by_name'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['created_at'], name='environment_by_creation'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['image', 'id'], name='environment_by_image'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['observed_state', 'name', 'id'], name='environment_by_state'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('traffic_state', ''), _negated=True), fields=['traffic_state'], name='environment_traffic_held'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True), ('trash_ends_at__isnull', False)), fields=['trash_ends_at'], name='environment_in_trash'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True), ('follows_plan', True)), fields=['plan_version'], name='environment_follows'),
        ),
        migrations.AddIndex(
            model_name='environment',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True), ('observed_generation__lt', models.F('generation'))), fields=['sent_at'], name='environment_behind'),
        ),
        migrations.AddIndex(
            model_name='environmenttag',
            index=models.Index(fields=['name', 'environment'], name='environment_by_tag'),
        ),
        migrations.RunPython(add_words, drop_words),
    ]
