"""The tests that may need a second try (`tests/unsteady.toml`): few, with reasons, and never for long."""

import tomllib
from datetime import date, timedelta
from pathlib import Path

from runtime.install.layout import CHECKOUT

LIST = CHECKOUT / "tests" / "unsteady.toml"
MOST, LONGEST = 5, timedelta(days=60)


def read(today: date, file: Path = LIST) -> tuple[frozenset[str], list[str]]:
    """Their ids, and a sentence for each thing that is wrong with the list."""
    entries = tomllib.loads(file.read_text()).get("test", [])
    wrong = [f"{file.name} names {len(entries)} tests; at most {MOST}"] if len(entries) > MOST else []
    for one in entries:
        name, since = str(one.get("id", "?")), one.get("since")
        if not isinstance(since, date) or not str(one.get("reason", "")).strip() or "::" not in name:
            wrong.append(f"{file.name}: {name} lacks id (module::test), reason or since (a date)")
        elif today - since > LONGEST:
            wrong.append(f"{file.name}: {name} stands there since {since}, longer than {LONGEST.days} days")
    return frozenset(str(one.get("id", "")) for one in entries), wrong
