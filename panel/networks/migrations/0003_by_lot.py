"""Addresses are drawn by lot: no pool remembers the last one any more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("networks", "0002_list_indexes")]

    operations = [
        migrations.AlterField("addresspool", "cursor", models.BigIntegerField(default=1)),
        migrations.RemoveField("addresspool", "cursor"),
    ]
