"""Writes the database, as it is at one moment, into an empty directory."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from panel.upkeep.dumps import DumpRefused, dump


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            dump(options["directory"])
        except DumpRefused as refused:
            raise CommandError(str(refused)) from refused
