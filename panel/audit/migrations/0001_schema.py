"""Tables of the audit, and the triggers that keep its records as they are."""

from django.db import migrations, models

from panel.audit import append_only


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('audit', '0001_initial'),
        ('audit', '0002_append_only'),
        ('audit', '0003_heads_support_denied'),
        ('audit', '0004_heads'),
        ('audit', '0005_list_indexes'),
    ]

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='AuditHead',
            fields=[
                ('chain', models.UUIDField(primary_key=True, serialize=False)),
                ('sequence', models.PositiveBigIntegerField()),
                ('digest', models.CharField(max_length=64)),
                ('seal', models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='AuditRecord',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('chain', models.UUIDField()),
                ('sequence', models.PositiveBigIntegerField()),
                ('at', models.DateTimeField()),
                ('action', models.CharField(max_length=64)),
                ('who_id', models.UUIDField(blank=True, null=True)),
                ('who', models.CharField(max_length=150)),
                ('token_id', models.UUIDField(blank=True, null=True)),
                ('support_id', models.UUIDField(blank=True, null=True)),
                ('is_denied', models.BooleanField(default=False)),
                ('from_where', models.CharField(blank=True, default='', max_length=64)),
                ('target_type', models.CharField(blank=True, default='', max_length=32)),
                ('target_id', models.CharField(blank=True, default='', max_length=64)),
                ('target_name', models.CharField(blank=True, default='', max_length=150)),
                ('before', models.JSONField(blank=True, default=dict)),
                ('after', models.JSONField(blank=True, default=dict)),
                ('operation_id', models.UUIDField(blank=True, null=True)),
                ('previous', models.CharField(blank=True, default='', max_length=64)),
                ('digest', models.CharField(max_length=64)),
            ],
            options={
                'ordering': ['-at', '-id'],
                'indexes': [models.Index(fields=['-at', '-id'], name='audit_newest'), models.Index(fields=['chain', '-at'], name='audit_audit_chain_0442ac_idx'), models.Index(fields=['target_id', '-at'], name='audit_audit_target__8db74a_idx')],
                'constraints': [models.UniqueConstraint(fields=('chain', 'sequence'), name='audit_sequence_once')],
            },
        ),
        migrations.RunPython(append_only.add, append_only.remove),
    ]
