import django.core.validators
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('environments', '0001_schema'),
        ('nodes', '0001_schema'),
        ('tenants', '0001_schema'),
        ('volumes', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Stack',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=40, validators=[django.core.validators.RegexValidator('^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$')])),
                ('compose', models.TextField()),
                ('given', models.TextField(blank=True, default='')),
                ('profiles', models.JSONField(blank=True, default=list)),
                ('scale', models.JSONField(blank=True, default=dict)),
                ('plan', models.CharField(blank=True, default='', max_length=63)),
                ('limits', models.JSONField(blank=True, default=dict)),
                ('volume_mb', models.PositiveIntegerField()),
                ('catalogue', models.CharField(blank=True, default='', max_length=64)),
                ('wanted', models.CharField(choices=[('running', 'running'), ('stopped', 'stopped'), ('deleted', 'deleted')], default='running', max_length=16)),
                ('operation_id', models.UUIDField(blank=True, null=True)),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stacks', to='nodes.node')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stacks', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name', 'pk'],
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'name'), name='stack_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Member',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('service', models.CharField(max_length=63)),
                ('number', models.PositiveIntegerField()),
                ('digests', models.JSONField()),
                ('names', models.JSONField(blank=True, default=dict)),
                ('environment', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='member', to='environments.environment')),
                ('stack', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='stacks.stack')),
            ],
            options={
                'ordering': ['service', 'number'],
            },
        ),
        migrations.CreateModel(
            name='StackVolume',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=63)),
                ('stack', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='volumes', to='stacks.stack')),
                ('volume', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='in_stack', to='volumes.volume')),
            ],
            options={
                'ordering': ['key'],
                'constraints': [
                    models.UniqueConstraint(fields=('stack', 'key'), name='stack_volume_once'),
                ],
            },
        ),
    ]
