"""Lays what a node was told (`runtime.cli told`, on standard input) beside the rows; what is newer is taken."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from panel.upkeep.adopting import lay_beside
from runtime.contract import NodeTold


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--restored", action="store_true", help="other nodes get nothing new from now on")

    def handle(self, *args: Any, **options: Any) -> None:
        told = NodeTold.model_validate_json(sys.stdin.read())
        self.stdout.write(json.dumps(asdict(lay_beside(told, is_restored=options["restored"]))))
