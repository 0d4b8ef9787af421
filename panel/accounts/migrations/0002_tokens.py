import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ('accounts', '0002_initial'),
        ('accounts', '0003_policy_token_environments'),
        ('accounts', '0004_ssh_keys'),
        ('accounts', '0005_token_support'),
        ('accounts', '0006_token_opened_by'),
        ('accounts', '0007_issuer_of_subjects'),
    ]

    dependencies = [
        ('access', '0001_initial'),
        ('accounts', '0001_schema'),
        ('tenants', '0001_schema'),
    ]

    operations = [
        migrations.AddField(
            model_name='token',
            name='support',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='access.supportaccess'),
        ),
        migrations.AddField(
            model_name='token',
            name='tenant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to='tenants.tenant'),
        ),
        migrations.AddField(
            model_name='token',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('email'), name='user_email_once'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('username'), name='user_username_once'),
        ),
        migrations.AddConstraint(
            model_name='sshkey',
            constraint=models.UniqueConstraint(fields=('user', 'fingerprint'), name='ssh_key_once'),
        ),
    ]
