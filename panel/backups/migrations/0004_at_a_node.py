from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("backups", "0003_of_volumes")]

    operations = [
        migrations.AlterField(
            model_name="target",
            name="kind",
            field=models.CharField(
                choices=[
                    ("directory", "directory of a node"),
                    ("sftp", "server by SFTP"),
                    ("s3", "bucket by S3"),
                    ("node", "directory of another node"),
                ],
                default="directory",
                max_length=16,
            ),
        ),
    ]
