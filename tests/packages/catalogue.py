"""What is tried: groups of services that share an environment, read from catalogue.toml."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class Service:
    name: str
    packages: str
    check: str
    units: str = ""
    setup: str = ""
    needs: str = ""
    """Another of its group, that its own check talks to."""
    why: str = ""
    """Why the default class can't, where it can't."""


@dataclass(frozen=True)
class Group:
    name: str
    services: tuple[Service, ...]
    options: tuple[str, ...] = ()
    """That an administrator gives: devices, and switches of the confinement."""

    def without(self, done: frozenset[str]) -> "Group":
        """Only what isn't done, and what that needs."""
        lacking = [one for one in self.services if one.name not in done]
        needed = {one.needs for one in lacking} | {one.name for one in lacking}
        return replace(self, services=tuple(one for one in self.services if one.name in needed))


def groups(only: list[str] | None = None) -> list[Group]:
    """All, or those named. Raises ValueError for a name that isn't there."""
    found = [_group(one) for one in tomllib.loads(FILE.read_text())["group"]]
    unknown = set(only or ()) - {one.name for one in found}
    if unknown:
        raise ValueError(f"there is no group {', '.join(sorted(unknown))}")
    return [one for one in found if not only or one.name in only]


def _group(table: dict[str, Any]) -> Group:
    services = tuple(
        Service(**{"packages": re.sub(r" \(.*\)", "", one["name"]), **one}) for one in table["service"]
    )
    return Group(table["name"], services, tuple(table.get("options", ())))
