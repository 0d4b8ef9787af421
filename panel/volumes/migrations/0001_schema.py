import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('volumes', '0001_initial'),
        ('volumes', '0002_volume_class'),
    ]

    dependencies = [
        ('environments', '0001_schema'),
        ('nodes', '0001_schema'),
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Volume',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63)),
                ('size_mb', models.PositiveIntegerField()),
                ('before_mb', models.PositiveIntegerField(blank=True, null=True)),
                ('volume_class', models.CharField(choices=[('standard', 'standard: checked by checksums'), ('database', 'for databases: written in place')], default='standard', max_length=16)),
                ('is_shared', models.BooleanField(default=False)),
                ('is_going', models.BooleanField(default=False)),
                ('used_bytes', models.PositiveBigIntegerField(default=0)),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('made_at', models.DateTimeField(blank=True, null=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='volumes', to='nodes.node')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='volumes', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name', 'pk'],
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'name'), name='volume_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.CharField(max_length=200)),
                ('read_only', models.BooleanField(default=False)),
                ('generation', models.PositiveBigIntegerField()),
                ('made', models.BooleanField(default=False)),
                ('removal', models.PositiveBigIntegerField(blank=True, null=True)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attachments', to='environments.environment')),
                ('volume', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='attachments', to='volumes.volume')),
            ],
            options={
                'ordering': ['path'],
                'constraints': [
                    models.UniqueConstraint(fields=('environment', 'volume'), name='attachment_once'),
                    models.UniqueConstraint(fields=('environment', 'path'), name='attachment_path_once'),
                ],
            },
        ),
    ]
