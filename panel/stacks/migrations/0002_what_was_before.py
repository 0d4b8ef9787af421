from django.db import migrations, models


class Migration(migrations.Migration):
    """Each stack keeps what it was before its last change, to be gone back to."""

    dependencies = [("stacks", "0001_initial")]

    operations = [
        migrations.AddField("stack", "kept", models.TextField(blank=True, default="")),
    ]
