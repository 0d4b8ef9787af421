import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('environments', '0001_schema'),
        ('storage', '0001_schema'),
        ('tenants', '0001_schema'),
        ('volumes', '0002_snapshots'),
    ]

    operations = [
        migrations.AddField(
            model_name='schedule',
            name='volume',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='volumes.volume'),
        ),
        migrations.AlterField(
            model_name='schedule',
            name='environment',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='schedules', to='environments.environment'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.UniqueConstraint(fields=('volume', 'takes'), name='schedule_once_of_volume'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.CheckConstraint(condition=models.Q(('environment__isnull', True), ('volume__isnull', True), _connector='XOR'), name='schedule_of_one'),
        ),
    ]
