import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('storage', '0001_initial'),
        ('storage', '0002_expiry'),
        ('storage', '0003_apps'),
        ('storage', '0004_origin_backup'),
        ('storage', '0005_schedules_of_backups'),
        ('storage', '0006_proves'),
    ]

    dependencies = [
        ('environments', '0001_schema'),
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Origin',
            fields=[
                ('environment', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='origin', serialize=False, to='environments.environment')),
                ('source', models.UUIDField()),
                ('snapshot', models.UUIDField()),
                ('backup', models.UUIDField(blank=True, null=True)),
                ('installs', models.PositiveIntegerField()),
                ('generation', models.PositiveBigIntegerField()),
                ('before', models.JSONField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('takes', models.CharField(choices=[('snapshots', 'snapshots'), ('backups', 'backups')], default='snapshots', max_length=16)),
                ('target', models.UUIDField(blank=True, null=True)),
                ('proves', models.CharField(choices=[('never', 'none'), ('monthly', 'one a month'), ('each', 'each')], default='never', max_length=16)),
                ('cron', models.CharField(max_length=100)),
                ('keep_last', models.PositiveSmallIntegerField(default=0)),
                ('keep_hourly', models.PositiveSmallIntegerField(default=0)),
                ('keep_daily', models.PositiveSmallIntegerField(default=7)),
                ('keep_weekly', models.PositiveSmallIntegerField(default=4)),
                ('keep_monthly', models.PositiveSmallIntegerField(default=0)),
                ('is_on', models.BooleanField(default=True)),
                ('next_at', models.DateTimeField()),
                ('last_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, default='', max_length=300)),
                ('version', models.PositiveIntegerField(default=1)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='environments.environment')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='schedules', to='tenants.tenant')),
            ],
            options={
                'ordering': ['next_at'],
                'indexes': [models.Index(condition=models.Q(('is_on', True)), fields=['next_at'], name='schedule_due')],
                'constraints': [models.UniqueConstraint(fields=('environment', 'takes'), name='schedule_once')],
            },
        ),
        migrations.CreateModel(
            name='Snapshot',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63)),
                ('reason', models.CharField(choices=[('asked', 'asked for'), ('restore', 'before a restore'), ('reinstall', 'before a reinstall'), ('schedule', 'by the schedule')], default='asked', max_length=16)),
                ('image', models.CharField(max_length=400)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('generation', models.PositiveBigIntegerField()),
                ('made_at', models.DateTimeField(blank=True, null=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('removal', models.PositiveBigIntegerField(blank=True, null=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='snapshots', to='environments.environment')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='snapshots', to='tenants.tenant')),
            ],
            options={
                'ordering': ['created_at', 'pk'],
                'indexes': [models.Index(condition=models.Q(('made_at', None), ('removal__isnull', False), _connector='OR'), fields=['environment'], name='snapshot_waits'), models.Index(condition=models.Q(('expires_at__isnull', False), ('removal__isnull', True)), fields=['expires_at'], name='snapshot_expires')],
            },
        ),
    ]
