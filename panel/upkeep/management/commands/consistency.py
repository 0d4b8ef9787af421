"""Counts reservations, leases and open operations anew and says what doesn't add up; ends with 1 then."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from panel.environments.consistency import examine


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repeat", action="store_true", help="again for every line read, as JSON lines")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["repeat"]:
            for _ in sys.stdin:
                close_old_connections()
                self.stdout.write(json.dumps(examine()))
                self.stdout.flush()
            return
        found = examine()
        self.stdout.write("\n".join(found) or "everything adds up")
        if found:
            sys.exit(1)
