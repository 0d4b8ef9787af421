from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0003_cause")]

    operations = [
        migrations.AlterField(
            model_name="image",
            name="source",
            field=models.CharField(
                choices=[
                    ("busybox", "busybox"),
                    ("debian-12", "debian-12"),
                    ("debian-13", "debian-13"),
                    ("archive", "archive"),
                ],
                max_length=32,
            ),
        )
    ]
