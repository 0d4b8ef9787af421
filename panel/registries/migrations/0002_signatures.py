from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('registries', '0001_apps'),
    ]

    operations = [
        migrations.AddField(
            model_name='registry',
            name='signed_by',
            field=models.CharField(blank=True, default='', max_length=16),
        ),
        migrations.AddField(
            model_name='registry',
            name='signature_key',
            field=models.TextField(blank=True, default=''),
        ),
        migrations.AddField(
            model_name='registry',
            name='lookaside',
            field=models.CharField(blank=True, default='', max_length=400),
        ),
    ]
