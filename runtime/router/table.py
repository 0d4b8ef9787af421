"""The table of domains as its file has it now."""

import sys
from pathlib import Path

from pydantic import ValidationError

from runtime.contract.domain import DomainRoute, DomainTable


class Table:
    """Looked at with each question: whoever has put the file in its place knows that the next request goes by
    it. One that can't be read, or is gone, leaves what was known."""

    def __init__(self, file: Path) -> None:
        self.routes: dict[str, DomainRoute] = {}
        self.edition = (0, 0, 0)
        self._file = file

    def find(self, name: str) -> DomainRoute | None:
        self.refresh()
        return self.routes.get(name)

    def refresh(self) -> None:
        """A no-op, of 2 µs, where the file is the one that was read."""
        try:
            seen = self._file.stat()
            edition = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
            if edition == self.edition:
                return
            self.edition = edition
            self.routes = dict(DomainTable.model_validate_json(self._file.read_bytes()).routes)
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            sys.stderr.write(f"the table of domains can't be read: {type(error).__name__}\n")


def name_of(host: str) -> str:
    """Of the header `Host`: without a port, in small letters, without the root's dot."""
    return host.partition(":")[0].lower().removesuffix(".")
