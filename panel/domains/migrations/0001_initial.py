import django.db.models.deletion
import panel.domains.models
import runtime.contract.domain
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('environments', '0001_schema'),
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Domain',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=253)),
                ('https', models.BooleanField(default=True)),
                ('redirect_to', models.CharField(blank=True, default='', max_length=400)),
                ('users', models.JSONField(blank=True, default=dict)),
                ('balance', models.CharField(choices=[('round_robin', 'round_robin'), ('sticky', 'sticky')], default=runtime.contract.domain.Balance['ROUND_ROBIN'], max_length=16)),
                ('health_path', models.CharField(blank=True, default='', max_length=200)),
                ('token', models.CharField(default=panel.domains.models._token, max_length=64)),
                ('proved_by', models.CharField(blank=True, choices=[('below', "it lies below the provider's own name"), ('txt', 'a TXT record'), ('address', 'its address')], default='', max_length=8)),
                ('proved_at', models.DateTimeField(blank=True, null=True)),
                ('looked_at', models.DateTimeField(blank=True, null=True)),
                ('problem', models.CharField(blank=True, default='', max_length=32)),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='domains', to='tenants.tenant')),
            ],
            options={
                'ordering': ['name', 'pk'],
                'constraints': [
                    models.UniqueConstraint(fields=('tenant', 'name'), name='domain_once'),
                    models.UniqueConstraint(condition=models.Q(('proved_at__isnull', False)), fields=('name',), name='domain_served_once'),
                ],
            },
        ),
        migrations.CreateModel(
            name='DomainTarget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('port', models.PositiveIntegerField()),
                ('is_drained', models.BooleanField(default=False)),
                ('domain', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='targets', to='domains.domain')),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='domain_targets', to='environments.environment')),
            ],
            options={
                'ordering': ['pk'],
                'constraints': [
                    models.UniqueConstraint(fields=('domain', 'environment'), name='domain_target_once'),
                    models.CheckConstraint(condition=models.Q(('port__range', (1, 65535))), name='domain_port_exists'),
                ],
            },
        ),
        migrations.CreateModel(
            name='FormerDomain',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tenant_id', models.UUIDField()),
                ('name', models.CharField(max_length=253)),
                ('ended_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['name'], name='former_domain')],
            },
        ),
    ]
