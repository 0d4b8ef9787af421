"""docs/compatibility.md: a table of what was tried."""

import platform
import time
from collections.abc import Sequence
from pathlib import Path

from tests.packages.catalogue import Group
from tests.packages.trial import Result

_HEAD = """# Which packages work

Made by `./wadah bench packages`: each package was installed by `apt-get install` in an environment as a
tenant gets it, its unit was up, its own client was answered, and so again after a reboot from inside. With
options: those that an administrator, or a plan, gives (the last column says which).
"""

#: What `./wadah test packages` found, by hand.
_CONTAINERS = Path(__file__).with_name("containers.md")


def page(groups: Sequence[Group], image: str, default: dict[str, Result], options: dict[str, Result]) -> str:
    """The whole text. `default` and `options`: results by the service's name."""
    services = [
        (group, one)
        for group in groups
        for one in group.services
        if one.name in default and not default[one.name].was_cut_off
    ]
    missing = sum(len(group.services) for group in groups) - len(services)
    works = sum(default[one.name].works for _, one in services)
    more = sum(
        one.name in options and options[one.name].works for _, one in services if not default[one.name].works
    )
    day = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [
        _HEAD,
        f"Image {image}, Linux {platform.release()}, {day}: of {len(services)}, "
        f"**{works} work in the default class**, {more} more with options. "
        f"Not tried yet: {missing} of the catalogue (`tests/packages/catalogue.toml`).",
        "",
        "| package | installed | up | answered | after a reboot | with options | |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, one in services:
        seen, other = default[one.name], options.get(one.name)
        cells = [_word(value) for value in (seen.installed, seen.up, seen.answered, seen.after_reboot)]
        with_options = "" if seen.works or other is None else _word(other.works)
        notes = [] if seen.works else [one.why or seen.said]
        if other is not None and not seen.works:
            said = "" if other.works else f": {other.said}"
            notes.append(f"({', '.join(group.options)}){said}")
        note = " ".join(filter(None, notes)).replace("|", "\\|")
        lines.append(f"| {one.name} | {' | '.join(cells)} | {with_options} | {note} |")
    return "\n".join(lines) + "\n\n" + _CONTAINERS.read_text()


def _word(value: bool) -> str:
    return "yes" if value else "**no**"
