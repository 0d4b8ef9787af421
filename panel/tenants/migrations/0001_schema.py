"""Tables of tenants, with an index over paths of any length: SP-GiST takes values that a B-tree refuses (over 2,704
bytes)."""

import django.core.validators
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def add_paths(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("CREATE INDEX tenant_path_spgist ON tenants_tenant USING spgist (path text_ops)")


def drop_paths(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP INDEX tenant_path_spgist")


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('tenants', '0001_initial'),
        ('tenants', '0002_depth_and_deletion'),
        ('tenants', '0003_path_index'),
        ('tenants', '0004_versions_second_factor'),
        ('tenants', '0005_version'),
        ('tenants', '0006_asking_for_second_factor'),
        ('tenants', '0007_trash_days'),
        ('tenants', '0008_tenant_held_revision'),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Tenant',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=120)),
                ('slug', models.CharField(max_length=63, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$')])),
                ('path', models.TextField(editable=False)),
                ('state', models.CharField(choices=[('active', 'active'), ('suspended', 'suspended')], default='active', max_length=16)),
                ('suspended_reason', models.CharField(blank=True, default='', max_length=400)),
                ('suspended_how', models.CharField(choices=[('stop', 'stopped'), ('freeze', 'frozen')], default='stop', max_length=8)),
                ('delete_at', models.DateTimeField(blank=True, null=True)),
                ('must_use_plans', models.BooleanField(default=False)),
                ('trash_days', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('time_zone', models.CharField(default='UTC', max_length=64)),
                ('version', models.PositiveIntegerField(db_default=1, default=1)),
                ('held_revision', models.PositiveBigIntegerField(default=1)),
                ('requires_mfa', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name'],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('state__in', ['active', 'suspended'])), name='tenant_state_known'),
                    models.CheckConstraint(condition=models.Q(('trash_days__range', (0, 365))), name='tenant_trash_bounded'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Role',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=60)),
                ('permissions', models.JSONField(default=list)),
                ('version', models.PositiveIntegerField(default=1)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='roles', to='tenants.tenant')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'name'), name='role_name_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('owner', 'owner'), ('administrator', 'administrator'), ('operator', 'operator'), ('viewer', 'viewer'), ('billing', 'billing'), ('custom', 'custom')], default='viewer', max_length=16)),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to=settings.AUTH_USER_MODEL)),
                ('custom_role', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='tenants.role')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='tenants.tenant')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'user'), name='membership_once'),
                    models.CheckConstraint(condition=models.Q(models.Q(('custom_role__isnull', False), ('role', 'custom')), models.Q(('role__in', ['owner', 'administrator', 'operator', 'viewer', 'billing', 'custom']), models.Q(('role', 'custom'), _negated=True)), _connector='OR'), name='membership_role_known'),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='tenant',
            index=models.Index(fields=['name', 'id'], name='tenant_by_name'),
        ),
        migrations.AddIndex(
            model_name='tenant',
            index=models.Index(condition=models.Q(('delete_at__isnull', False)), fields=['delete_at'], name='tenant_to_delete'),
        ),
        migrations.AddIndex(
            model_name='tenant',
            index=models.Index(condition=models.Q(('requires_mfa', True)), fields=['id'], name='tenant_requires_mfa'),
        ),
        migrations.RunPython(add_paths, drop_paths),
    ]
