import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('environments', '0001_schema'),
        ('operations', '0001_schema'),
        ('tenants', '0001_schema'),
    ]

    operations = [
        migrations.CreateModel(
            name='Stage',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('line', models.CharField(max_length=63)),
                ('name', models.CharField(max_length=63)),
                ('place', models.PositiveSmallIntegerField()),
                ('needs_health', models.BooleanField(default=True)),
                ('command', models.JSONField(blank=True, default=list)),
                ('needs_yes', models.BooleanField(default=False)),
                ('drain_s', models.PositiveSmallIntegerField(default=3)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='stages', to='tenants.tenant')),
            ],
            options={
                'ordering': ['tenant', 'line', 'place'],
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'line', 'name'), name='stage_once'),
                    models.UniqueConstraint(fields=('tenant', 'line', 'place'), name='stage_place_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Rollout',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('image', models.CharField(max_length=400)),
                ('number', models.PositiveIntegerField(blank=True, null=True)),
                ('state', models.CharField(choices=[('checking', 'being checked'), ('waiting', 'waits for a yes'), ('rolling', 'being rolled out'), ('back', 'going back'), ('done', 'done'), ('failed', 'failed')], max_length=16)),
                ('phase', models.CharField(choices=[('drain', 'Drain'), ('replace', 'Replace'), ('settle', 'Settle')], default='drain', max_length=16)),
                ('phase_at', models.DateTimeField(blank=True, null=True)),
                ('todo', models.JSONField(default=list)),
                ('before', models.JSONField(default=dict)),
                ('generation', models.PositiveBigIntegerField(default=0)),
                ('approved_by', models.CharField(blank=True, default='', max_length=150)),
                ('problem', models.CharField(blank=True, default='', max_length=400)),
                ('operation', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='rollout', to='operations.operation')),
                ('source', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='stages.stage')),
                ('stage', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rollouts', to='stages.stage')),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('state__in', ['checking', 'waiting', 'rolling', 'back'])), fields=('stage',), name='rollout_one_at_a_time'),
                ],
            },
        ),
        migrations.CreateModel(
            name='StageCopy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('environment', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='stage_copy', to='environments.environment')),
                ('stage', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='copies', to='stages.stage')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='StageVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('image', models.CharField(max_length=400)),
                ('came_from', models.CharField(blank=True, default='', max_length=63)),
                ('who_name', models.CharField(blank=True, default='', max_length=150)),
                ('operation_id', models.UUIDField(blank=True, null=True)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('stage', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='stages.stage')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
    ]
