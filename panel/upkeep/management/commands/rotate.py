"""Exchanges the panel's keys (signing, fields, tickets). `./wadah rotate` calls it while nothing else runs."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from panel.config.rotation import rotate


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--window-hours", type=float, default=168.0)

    def handle(self, *args: Any, **options: Any) -> None:
        answers, ends = rotate(settings.WADAH.home, options["window_hours"] * 3600)
        self.stdout.write(f"{answers} answers and {ends} ends of audit chains brought over")
