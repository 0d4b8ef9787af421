"""Brings database and static files up to this version of the code. Idempotent; run before every start.

The secrets are made by manage.py itself, since the settings can't be read without them.
"""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from panel.accounts import factors_at_rest
from panel.registries import own


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--keep-static", action="store_true", help="leave the collected static files")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        own.ensure_keys(settings.WADAH.home)
        # those that were set up before they were encrypted
        factors_at_rest.encrypt_anew(settings.SECRETS.field_keys, only_plain=True)
        if settings.STATICFILES_DIRS and not options["keep_static"]:
            # its copy of htmx is not ours, and one of its files can't be rewritten to hashed names
            call_command(
                "collectstatic", interactive=False, verbosity=0, ignore_patterns=["django_htmx", "ninja"]
            )
