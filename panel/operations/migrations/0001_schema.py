import django.db.models.deletion
import panel.said
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('operations', '0001_initial'),
        ('operations', '0002_open_by_tenant'),
        ('operations', '0003_list_indexes'),
        ('operations', '0004_addresses'),
        ('operations', '0005_said'),
        ('operations', '0006_alter_operation_kind'),
        ('operations', '0007_subject'),
        ('operations', '0008_subject_index'),
        ('operations', '0009_trash'),
        ('operations', '0010_quota'),
        ('operations', '0011_rescue'),
        ('operations', '0012_backups'),
        ('operations', '0013_proofs'),
        ('operations', '0014_volumes'),
        ('operations', '0015_put_back'),
        ('operations', '0016_commit'),
        ('operations', '0017_stacks'),
        ('operations', '0018_servers'),
        ('operations', '0019_rollouts'),
    ]

    dependencies = [
        ('environments', '0001_schema'),
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Operation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('subject_type', models.CharField(choices=[('environment', 'environment'), ('tenant', 'tenant'), ('image', 'image'), ('volume', 'volume'), ('stack', 'stack'), ('stage', 'stage')], default='environment', max_length=16)),
                ('subject_id', models.CharField(blank=True, default='', max_length=64)),
                ('subject_name', models.CharField(blank=True, default='', max_length=64)),
                ('kind', models.CharField(choices=[('create', 'create'), ('update', 'update'), ('start', 'start'), ('stop', 'stop'), ('restart', 'restart'), ('pause', 'pause'), ('resume', 'resume'), ('rescue', 'start the rescue system'), ('leave_rescue', 'leave the rescue system'), ('reinstall', 'reinstall'), ('credentials', 'change credentials'), ('forwards', 'change port forwards'), ('addresses', 'change addresses'), ('snapshot', 'change snapshots'), ('restore', 'restore'), ('backup', 'back up'), ('delete_backup', 'delete a backup'), ('prove_backup', 'prove a backup'), ('put_back', 'put back a file'), ('commit', 'publish as an image'), ('check_target', 'check a backup target'), ('volumes', 'change volumes'), ('make_volume', 'make a volume'), ('resize_volume', 'resize a volume'), ('delete_volume', 'delete a volume'), ('names', 'tell of names'), ('deploy', 'deploy'), ('suspend', 'suspend'), ('trash', 'put into the trash'), ('undelete', 'bring back'), ('delete', 'delete'), ('build', 'build'), ('promote', 'promote'), ('roll_back', 'roll back'), ('quota', 'change the quota')], max_length=16)),
                ('generation', models.PositiveBigIntegerField()),
                ('state', models.CharField(choices=[('pending', 'pending'), ('running', 'running'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('cancelled', 'cancelled')], default='pending', max_length=16)),
                ('who_name', models.CharField(blank=True, default='', max_length=150)),
                ('from_where', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('deadline', models.DateTimeField()),
                ('steps', models.JSONField(blank=True, default=list)),
                ('progress', models.FloatField(default=0)),
                ('doing', panel.said.SaidField(blank=True, default='')),
                ('details', models.JSONField(blank=True, default=dict)),
                ('before', models.JSONField(blank=True, default=dict)),
                ('code', models.CharField(blank=True, default='', max_length=64)),
                ('message', panel.said.SaidField(blank=True, default='')),
                ('next_step', panel.said.SaidField(blank=True, default='')),
                ('is_retryable', models.BooleanField(default=True)),
                ('environment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='operations', to='environments.environment')),
                ('retry_of', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='retries', to='operations.operation')),
                ('tenant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='operations', to='tenants.tenant')),
                ('who', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['environment', '-created_at'], name='operations__environ_c64cad_idx'), models.Index(fields=['tenant', '-created_at'], name='operations__tenant__477a98_idx'), models.Index(condition=models.Q(('subject_type', 'environment'), _negated=True), fields=['subject_type', 'subject_id', '-created_at'], name='operation_subject'), models.Index(fields=['-created_at'], name='operation_newest'), models.Index(fields=['tenant', 'state'], name='operation_tenant_state'), models.Index(condition=models.Q(('state__in', ['pending', 'running'])), fields=['deadline'], name='operation_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'running', 'succeeded', 'failed', 'cancelled'])), name='operation_state_known')],
            },
        ),
    ]
