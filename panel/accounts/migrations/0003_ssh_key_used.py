from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_tokens")]

    operations = [
        migrations.AddField(
            model_name="sshkey",
            name="used_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
