from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("clock", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="clocknote",
            name="wall_s",
            field=models.FloatField(default=0),
        ),
        migrations.CreateModel(
            name="ClockStep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True)),
                ("seconds", models.FloatField()),
            ],
        ),
    ]
