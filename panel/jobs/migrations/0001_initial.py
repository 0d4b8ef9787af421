import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('nodes', '0001_schema'),
        ('operations', '0001_schema'),
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('spec', models.JSONField()),
                ('is_over', models.BooleanField(default=False)),
                ('said', models.JSONField(blank=True, null=True)),
                ('sequence', models.PositiveBigIntegerField(default=0)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('send_attempts', models.PositiveIntegerField(default=0)),
                ('heard_at', models.DateTimeField(blank=True, null=True)),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='jobs', to='nodes.node')),
                ('operation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='jobs', to='operations.operation')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('is_over', False)), fields=['sent_at'], name='job_not_over')],
            },
        ),
    ]
