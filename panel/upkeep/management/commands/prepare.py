"""Brings database and static files up to this version of the code. Idempotent; run before every start.

The secrets are made by manage.py itself, since the settings can't be read without them.
"""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from panel.accounts import factors_at_rest
from panel.registries import own


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--keep-static", action="store_true", help="leave the collected static files")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_half_way()
        call_command("migrate", interactive=False, verbosity=0)
        own.ensure_keys(settings.WADAH.home)
        # those that were set up before they were encrypted
        factors_at_rest.encrypt_anew(settings.SECRETS.field_keys, only_plain=True)
        if settings.STATICFILES_DIRS and not options["keep_static"]:
            # its copy of htmx is not ours, and one of its files can't be rewritten to hashed names
            call_command(
                "collectstatic", interactive=False, verbosity=0, ignore_patterns=["django_htmx", "ninja"]
            )


def refuse_half_way() -> None:
    """Raises `CommandError` for a database of a version between two that this code knows a way from: an app's
    `schema` stands for all steps that it names, and for a part of them nobody knows what is missing."""
    done = MigrationRecorder(connection).applied_migrations()
    loader = MigrationLoader(connection, load=False)
    loader.load_disk()
    for (app, _), step in sorted(loader.disk_migrations.items()):
        missing = [name for key in step.replaces if key not in done for name in key[1:]]
        if missing and len(missing) < len(step.replaces):
            raise CommandError(
                f"This database is of an older version, which this one doesn't come after: {app} has no "
                f"“{missing[0]}”. Start the version in between on it once, then this one again."
            )
