import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tenants', '0001_schema'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Registry',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('host', models.CharField(max_length=270)),
                ('username', models.CharField(blank=True, default='', max_length=255)),
                ('password', models.TextField(blank=True, default='')),
                ('insecure', models.BooleanField(default=False)),
                ('inward', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='registries', to='tenants.tenant')),
            ],
            options={
                'verbose_name': 'registry',
                'ordering': ['host', 'id'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'host'), name='registry_once'), models.UniqueConstraint(condition=models.Q(('tenant', None)), fields=('host',), name='registry_of_installation_once')],
            },
        ),
    ]
