from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('api', '0001_initial'),
        ('api', '0002_held_keys'),
    ]

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='IdempotencyRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('scope', models.CharField(max_length=64)),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(max_length=64)),
                ('body_digest', models.CharField(blank=True, default='', max_length=64)),
                ('token_id', models.UUIDField(blank=True, null=True)),
                ('needs', models.JSONField(blank=True, default=list)),
                ('status', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('is_begun', models.BooleanField(default=False)),
                ('holder', models.CharField(blank=True, default='', max_length=32)),
                ('renewed_at', models.DateTimeField(blank=True, null=True)),
                ('renewed_since_boot_s', models.FloatField(default=0)),
                ('boot', models.CharField(blank=True, default='', max_length=36)),
                ('created_since_boot_s', models.FloatField(default=0)),
                ('answer', models.BinaryField(blank=True, null=True)),
                ('headers', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(db_index=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('scope', 'key'), name='idempotency_key_once')],
            },
        ),
    ]
