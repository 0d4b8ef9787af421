from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='ClockNote',
            fields=[
                ('boot', models.CharField(max_length=36, primary_key=True, serialize=False)),
                ('offset_s', models.FloatField()),
            ],
        ),
    ]
