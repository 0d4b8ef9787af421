import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('metering', '0001_initial'),
        ('metering', '0002_usage_points'),
    ]

    dependencies = [
        ('environments', '0001_schema'),
    ]

    operations = [
        migrations.CreateModel(
            name='TrafficMonth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField()),
                ('in_bytes', models.BigIntegerField(default=0)),
                ('out_bytes', models.BigIntegerField(default=0)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='traffic', to='environments.environment')),
            ],
            options={
                'ordering': ['-month'],
                'constraints': [models.UniqueConstraint(fields=('environment', 'month'), name='traffic_month_once')],
            },
        ),
        migrations.CreateModel(
            name='UsagePoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('cpu_ns', models.BigIntegerField()),
                ('memory_bytes', models.BigIntegerField()),
                ('disk_bytes', models.BigIntegerField()),
                ('network_in_bytes', models.BigIntegerField()),
                ('network_out_bytes', models.BigIntegerField()),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='usage_points', to='environments.environment')),
            ],
            options={
                'ordering': ['at'],
                'indexes': [models.Index(fields=['at'], name='usage_point_at')],
                'constraints': [models.UniqueConstraint(fields=('environment', 'at'), name='usage_point_once')],
            },
        ),
    ]
