import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('backups', '0001_initial'),
        ('backups', '0002_reason'),
        ('backups', '0003_proof'),
        ('backups', '0004_servers'),
    ]

    dependencies = [
        ('environments', '0001_schema'),
        ('nodes', '0001_schema'),
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Target',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63)),
                ('kind', models.CharField(choices=[('directory', 'directory of a node'), ('sftp', 'server by SFTP'), ('s3', 'bucket by S3')], default='directory', max_length=16)),
                ('place', models.JSONField(blank=True, null=True)),
                ('login', models.TextField(blank=True, default='')),
                ('upload_mbit_s', models.PositiveIntegerField(blank=True, null=True)),
                ('download_mbit_s', models.PositiveIntegerField(blank=True, null=True)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, default='', max_length=300)),
                ('password', models.TextField()),
                ('repository_id', models.CharField(blank=True, default='', max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('node', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='backup_targets', to='nodes.node')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='backup_targets', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name', 'pk'],
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'name'), name='backup_target_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Backup',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('of', models.UUIDField()),
                ('of_name', models.CharField(max_length=63)),
                ('name', models.CharField(max_length=63)),
                ('reason', models.CharField(choices=[('asked', 'asked for'), ('schedule', 'by the schedule')], default='asked', max_length=16)),
                ('document', models.JSONField()),
                ('snapshot', models.CharField(blank=True, default='', max_length=64)),
                ('bytes', models.PositiveBigIntegerField(default=0)),
                ('added_bytes', models.PositiveBigIntegerField(default=0)),
                ('files', models.PositiveBigIntegerField(default=0)),
                ('is_going', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('made_at', models.DateTimeField(blank=True, null=True)),
                ('proved_at', models.DateTimeField(blank=True, null=True)),
                ('proof', models.JSONField(blank=True, null=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('environment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='backups', to='environments.environment')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='backups', to='tenants.tenant')),
                ('target', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='backups', to='backups.target')),
            ],
            options={
                'ordering': ['-created_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='DrillReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField()),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='drill_reports', to='tenants.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('tenant', 'month'), name='drill_report_once')],
            },
        ),
        migrations.AddIndex(
            model_name='backup',
            index=models.Index(fields=['of', 'created_at'], name='backup_of'),
        ),
    ]
