"""./wadah bench packages [--home DIR] [--image NAME] [--group NAME …] [--at-once N] [--out FILE]

On an installation that is up and whose environments reach a Debian mirror. Results are kept in a file as they
come, so what was cut off goes on with `--resume`.
"""

import argparse
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtime.install.layout import CHECKOUT, DEFAULT_HOME
from tests.e2e.support import ready, standing
from tests.packages.catalogue import Group, groups
from tests.packages.page import page
from tests.packages.trial import Result, Trial

PAGE = CHECKOUT / "docs" / "compatibility.md"


def main(words: Sequence[str]) -> int:
    options = _options(words)
    chosen = groups(options.group)
    made = standing(options.home)
    ready(made)
    notes, lock = _Notes(options.notes, keep=options.resume), threading.Lock()

    def say(text: str) -> None:
        with lock:
            print(text, flush=True)

    def one(job: tuple[Group, bool]) -> None:
        group, with_options = job

        def keep(result: Result) -> None:
            with lock:
                notes.add(result, with_options)

        Trial(made, group, options.image, with_options, say, keep).run()

    for with_options in (False, True):  # options are for what doesn't work without them
        lacking = [
            group.without(notes.done(with_options, again=options.again))
            for group in chosen
            if group.options or not with_options
        ]
        with ThreadPoolExecutor(options.at_once) as pool:
            list(pool.map(one, [(group, with_options) for group in lacking if group.services]))
    text = page(groups(), options.image, notes.default, notes.options)
    options.out.write_text(text)
    print(f"{options.out}: {text.splitlines()[6]}")
    return 0


class _Notes:
    """What came of each service so far, in a file."""

    def __init__(self, file: Path, *, keep: bool):
        self._file = file
        self.default: dict[str, Result] = {}
        self.options: dict[str, Result] = {}
        if keep and file.exists():
            kept = json.loads(file.read_text())
            self.default = {name: Result(**one) for name, one in kept["default"].items()}
            self.options = {name: Result(**one) for name, one in kept["options"].items()}

    def done(self, with_options: bool, *, again: bool) -> frozenset[str]:
        """Names of services that need no further look. `again`: not those that didn't work."""
        known = self.options if with_options else self.default
        found = {name for name, one in known.items() if one.is_finished and (one.works or not again)}
        if with_options:  # they are for what doesn't work by default
            found |= {name for name, one in self.default.items() if one.works}
        return frozenset(found)

    def add(self, result: Result, with_options: bool) -> None:
        known = self.options if with_options else self.default
        known[result.name] = result
        kept = {
            "default": {name: one.document() for name, one in self.default.items()},
            "options": {name: one.document() for name, one in self.options.items()},
        }
        self._file.write_text(json.dumps(kept, indent=1))


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wadah bench packages", description=__doc__)
    parser.add_argument("--home", type=Path, default=DEFAULT_HOME)
    parser.add_argument("--image", default="debian-12")
    parser.add_argument("--group", action="append", help="of catalogue.toml; all without")
    parser.add_argument("--at-once", type=int, default=2, metavar="N")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--notes", type=Path, default=Path("/tmp/wadah-packages.json"))
    parser.add_argument("--resume", action="store_true", help="leave out what the notes have")
    parser.add_argument("--again", action="store_true", help="and try once more what didn't work")
    return parser.parse_args(words)
