import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('quotas', '0001_initial'),
        ('quotas', '0002_soft_and_alerts'),
        ('quotas', '0003_recount'),
        ('quotas', '0004_resource_names'),
    ]

    dependencies = [
        ('tenants', '0001_schema'),
    ]

    operations = [
        migrations.CreateModel(
            name='Quota',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('resource', models.CharField(choices=[('environments', 'environments'), ('cpu', 'vCPU'), ('memory_mb', 'memory (MiB)'), ('swap_mb', 'swap (MiB)'), ('disk_mb', 'disk (MiB)'), ('processes', 'processes'), ('addresses', 'addresses'), ('forwards', 'port forwards'), ('snapshots', 'snapshots'), ('backups', 'backups')], max_length=16)),
                ('limit', models.BigIntegerField(blank=True, null=True)),
                ('soft', models.BigIntegerField(blank=True, null=True)),
                ('grace_s', models.PositiveIntegerField(default=604800)),
                ('soft_since', models.DateTimeField(blank=True, null=True)),
                ('overbook_percent', models.PositiveIntegerField(default=100)),
                ('reserved', models.BigIntegerField(default=0)),
                ('highest', models.BigIntegerField(default=0)),
                ('highest_used', models.BigIntegerField(default=0)),
                ('hits', models.BigIntegerField(default=0)),
                ('alerted', models.PositiveSmallIntegerField(default=0)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='quotas', to='tenants.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('tenant', 'resource'), name='quota_once'), models.CheckConstraint(condition=models.Q(('reserved__gte', 0)), name='quota_reserved_positive'), models.CheckConstraint(condition=models.Q(('limit__isnull', True), ('limit__gte', 0), _connector='OR'), name='quota_limit_positive'), models.CheckConstraint(condition=models.Q(('soft__isnull', True), ('soft__gte', 0), _connector='OR'), name='quota_soft_positive'), models.CheckConstraint(condition=models.Q(('overbook_percent__range', (100, 1000))), name='quota_overbook_bounded'), models.CheckConstraint(condition=models.Q(('resource__in', ['environments', 'cpu', 'memory_mb', 'swap_mb', 'disk_mb', 'processes', 'addresses', 'forwards', 'snapshots', 'backups'])), name='quota_resource_known')],
            },
        ),
    ]
