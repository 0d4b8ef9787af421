import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('nodes', '0001_initial'),
        ('nodes', '0002_found'),
        ('nodes', '0003_overcommit'),
        ('nodes', '0004_version'),
        ('nodes', '0005_public_address'),
    ]

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Node',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=63, unique=True)),
                ('state', models.CharField(choices=[('enabled', 'enabled'), ('draining', 'draining'), ('disabled', 'disabled')], default='enabled', max_length=16)),
                ('facts', models.JSONField(default=dict)),
                ('leaks', models.PositiveIntegerField(default=0)),
                ('found', models.JSONField(blank=True, default=dict)),
                ('environments_seen', models.PositiveIntegerField(default=0)),
                ('first_seen_at', models.DateTimeField(auto_now_add=True)),
                ('last_seen_at', models.DateTimeField(blank=True, null=True)),
                ('reserved_cpu', models.BigIntegerField(default=0)),
                ('reserved_memory_mb', models.BigIntegerField(default=0)),
                ('reserved_disk_mb', models.BigIntegerField(default=0)),
                ('cpu_ratio', models.FloatField(blank=True, null=True)),
                ('memory_ratio', models.FloatField(blank=True, null=True)),
                ('disk_ratio', models.FloatField(blank=True, null=True)),
                ('public_address', models.CharField(blank=True, default='', max_length=253)),
                ('version', models.PositiveIntegerField(db_default=1, default=1)),
                ('placed', models.PositiveIntegerField(default=0)),
            ],
            options={
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['enabled', 'draining', 'disabled'])), name='node_state_known'), models.CheckConstraint(condition=models.Q(('cpu_ratio__isnull', True), ('cpu_ratio__range', (0.1, 100)), _connector='OR'), name='node_cpu_ratio_bounded'), models.CheckConstraint(condition=models.Q(('memory_ratio__isnull', True), ('memory_ratio__range', (0.1, 100)), _connector='OR'), name='node_memory_ratio_bounded'), models.CheckConstraint(condition=models.Q(('disk_ratio__isnull', True), ('disk_ratio__range', (0.1, 100)), _connector='OR'), name='node_disk_ratio_bounded')],
            },
        ),
    ]
