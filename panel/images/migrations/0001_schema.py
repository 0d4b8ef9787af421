import django.core.validators
import django.db.models.deletion
import panel.said
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('images', '0001_initial'),
        ('images', '0002_archive'),
        ('images', '0003_cause'),
        ('images', '0004_debian_13'),
        ('images', '0005_said'),
        ('images', '0006_operation'),
    ]

    dependencies = [
        ('nodes', '0001_schema'),
        ('operations', '0001_schema'),
    ]

    operations = [
        migrations.CreateModel(
            name='Image',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=64, unique=True, validators=[django.core.validators.RegexValidator('^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$')])),
                ('title', models.CharField(blank=True, default='', max_length=120)),
                ('description', models.CharField(blank=True, default='', max_length=400)),
                ('source', models.CharField(choices=[('busybox', 'busybox'), ('debian-12', 'debian-12'), ('debian-13', 'debian-13'), ('archive', 'archive')], max_length=32)),
                ('archive_id', models.UUIDField(blank=True, null=True)),
                ('archive_sha256', models.CharField(blank=True, default='', max_length=64)),
                ('archive_bytes', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='NodeImage',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('is_wanted', models.BooleanField(default=True)),
                ('revision', models.PositiveIntegerField(default=1)),
                ('observed_revision', models.PositiveIntegerField(default=0)),
                ('bytes', models.BigIntegerField(default=0)),
                ('code', models.CharField(blank=True, default='', max_length=64)),
                ('message', panel.said.SaidField(blank=True, default='')),
                ('next_step', panel.said.SaidField(blank=True, default='')),
                ('observed_at', models.DateTimeField(blank=True, null=True)),
                ('image', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='on_nodes', to='images.image')),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='images', to='nodes.node')),
                ('operation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='operations.operation')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('image', 'node'), name='node_image_once')],
            },
        ),
    ]
