"""A subject is unique at its issuer only: both name whom an account of single sign-on belongs to."""

from typing import Any

from django.db import migrations

from panel.accounts.claims import uid_of


def name_issuers(apps: Any, schema_editor: Any) -> None:
    """Of what the ID token said at the last sign-in. A row without it is found by its verified address again."""
    for row in apps.get_model("socialaccount", "SocialAccount").objects.all():
        said = row.extra_data if isinstance(row.extra_data, dict) else {}
        token = said.get("id_token")
        if not isinstance(token, dict) or not token.get("iss"):
            continue
        row.uid = uid_of(str(token["iss"]), row.uid)
        row.extra_data = {"iss": token["iss"], "sub": token.get("sub", ""), "email": token.get("email", "")}
        row.save(update_fields=["uid", "extra_data"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_token_opened_by"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]

    operations = [migrations.RunPython(name_issuers, migrations.RunPython.noop)]
