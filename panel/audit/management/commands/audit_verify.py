"""Walks the audit record's chains; ends with 1 and says where, when a record was changed or is missing.

`--save FILE` keeps the chains' ends, best on another machine; `--known FILE` checks that they are still there.
"""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from panel.audit.verify import heads, verify


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--known", type=Path, help="ends that were saved earlier")
        parser.add_argument("--save", type=Path, help="where to write the ends of now")

    def handle(self, *args: Any, known: Path | None, save: Path | None, **options: Any) -> None:
        try:
            kept = json.loads(known.read_text()) if known else None
        except (OSError, ValueError) as error:
            raise CommandError(f"{known} can't be read: {error}") from error
        count, breaks = verify(kept)
        for one in breaks:
            self.stderr.write(f"chain {one.chain}, record {one.sequence}: {one.why}")
        if breaks:
            raise CommandError(f"{len(breaks)} breaks in {count} records")
        if save:
            save.write_text(json.dumps(heads(), indent=1))
        self.stdout.write(f"{count} records, all chains hold")
