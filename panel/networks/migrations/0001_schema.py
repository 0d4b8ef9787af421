import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('networks', '0001_initial'),
        ('networks', '0002_list_indexes'),
        ('networks', '0003_by_lot'),
    ]

    dependencies = [
        ('environments', '0001_schema'),
        ('nodes', '0001_schema'),
        ('tenants', '0001_schema'),
    ]

    operations = [
        migrations.CreateModel(
            name='AddressPool',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('network', models.CharField(max_length=43)),
                ('family', models.PositiveSmallIntegerField(choices=[(4, 'IPv4'), (6, 'IPv6')])),
                ('first', models.BigIntegerField()),
                ('last', models.BigIntegerField()),
                ('is_active', models.BooleanField(default=True)),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pools', to='nodes.node')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('node', 'network'), name='pool_once'),
                    models.CheckConstraint(condition=models.Q(('first__lte', models.F('last'))), name='pool_not_empty'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Address',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('offset', models.BigIntegerField()),
                ('address', models.GenericIPAddressField()),
                ('family', models.PositiveSmallIntegerField(choices=[(4, 'IPv4'), (6, 'IPv6')])),
                ('leased_at', models.DateTimeField(auto_now_add=True)),
                ('released_at', models.DateTimeField(blank=True, null=True)),
                ('environment', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='addresses', to='environments.environment')),
                ('tenant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='addresses', to='tenants.tenant')),
                ('pool', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='addresses', to='networks.addresspool')),
            ],
            options={
                'ordering': ['family', 'offset'],
                'constraints': [
                    models.UniqueConstraint(fields=('pool', 'offset'), name='address_once'),
                    models.UniqueConstraint(fields=('pool', 'address'), name='address_text_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='PortForward',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('protocol', models.CharField(choices=[('tcp', 'TCP'), ('udp', 'UDP')], default='tcp', max_length=3)),
                ('node_port', models.PositiveIntegerField()),
                ('port', models.PositiveIntegerField()),
                ('description', models.CharField(blank=True, default='', max_length=120)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='forwards', to='environments.environment')),
                ('node', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='forwards', to='nodes.node')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='forwards', to='tenants.tenant')),
            ],
            options={
                'ordering': ['protocol', 'node_port'],
                'constraints': [
                    models.UniqueConstraint(fields=('node', 'protocol', 'node_port'), name='forward_once'),
                    models.CheckConstraint(condition=models.Q(('node_port__range', (1, 65535)), ('port__range', (1, 65535))), name='forward_ports_exist'),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='address',
            index=models.Index(fields=['family', 'offset'], name='address_in_order'),
        ),
    ]
