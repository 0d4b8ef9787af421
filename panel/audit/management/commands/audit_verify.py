"""Walks the audit record's chains; ends with 1 and says where, when a record was changed or is missing."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from panel.audit.services import verify


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        count, breaks = verify()
        for one in breaks:
            self.stderr.write(f"chain {one.chain}, record {one.sequence}: {one.why}")
        if breaks:
            raise CommandError(f"{len(breaks)} of {count} records do not hold")
        self.stdout.write(f"{count} records, all chains hold")
