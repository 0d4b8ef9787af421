"""The catalogue: Compose files with a title and what each asks, as files that a provider adds to.

An entry is a YAML file, called by its slug. One of the provider's folder stands over the product's of the same
slug; one that can't be read is left out, and logged.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import structlog
import yaml
from django.conf import settings
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext as _
from pydantic import Field, StringConstraints, ValidationError

from panel.environments.credentials import random_password
from panel.errors import Invalid, NotFound
from panel.stacks import answers
from panel.stacks.compose.tree import MOST_BYTES
from runtime.contract.base import Message

log = structlog.get_logger()

#: Of our own entries.
_KINDS: Final[Mapping[str, str]] = {
    "analytics": gettext_noop("Analytics"),
    "automation": gettext_noop("Automation"),
    "database": gettext_noop("Databases"),
    "development": gettext_noop("Development"),
    "files": gettext_noop("Files and folders"),
    "messages": gettext_noop("Messages"),
    "monitoring": gettext_noop("Monitoring"),
    "passwords": gettext_noop("Passwords"),
    "reading": gettext_noop("Reading"),
    "sign-in": gettext_noop("Accounts and sign-in"),
    "web": gettext_noop("Web"),
}
_OURS: Final = Path(__file__).with_name("catalogue")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_Line = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class Question(Message):
    """One variable of its Compose file."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
    label: _Line
    default: str = ""
    generate: bool = False
    """A password is made where none is given."""


class Entry(Message):
    slug: str
    title: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    kind: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    words: _Line
    """What it is."""
    site: Annotated[str, StringConstraints(pattern=r"^https://[\x21-\x7e]{1,200}$")]
    memory_mb: Annotated[int, Field(ge=16, le=1_048_576)] = 512
    """Of each environment that says nothing itself, where the tenant has no plan for it."""
    asks: Annotated[tuple[Question, ...], Field(max_length=32)] = ()
    notes: Annotated[tuple[_Line, ...], Field(max_length=10)] = ()
    compose: Annotated[str, StringConstraints(min_length=1, max_length=MOST_BYTES)]


def entries() -> dict[str, Entry]:
    """By slug, in the order of titles; looked for each time, since a provider may add to them."""
    folders = [_OURS, *([settings.WADAH.catalogue] if settings.WADAH.catalogue is not None else [])]
    found: dict[str, Entry] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.yml")):
            entry = _read(file)
            if entry is not None:
                found[entry.slug] = entry
    return dict(sorted(found.items(), key=lambda item: item[1].title.lower()))


def kind_of(one: Entry) -> str:
    """Its kind as people read it; a provider's own one as he wrote it."""
    return gettext(_KINDS[one.kind]) if one.kind in _KINDS else one.kind


def is_about(one: Entry, asked: str) -> bool:
    """Whether each word that was asked for stands in its title, its kind or what it is; all do for none."""
    told = f"{one.title} {one.kind} {kind_of(one)} {one.words}".casefold()
    return all(word in told for word in asked.casefold().split())


def entry(slug: str) -> Entry:
    found = entries().get(slug)
    if found is None:
        raise NotFound(_("This entry"))
    return found


def _read(file: Path) -> Entry | None:
    try:
        seen = file.stat()
        if not _SLUG.fullmatch(file.stem) or seen.st_size > MOST_BYTES:
            raise ValueError("its name, or its size")
        return _entry_in(file, seen.st_mtime_ns, seen.st_ino, seen.st_size)
    except (OSError, ValueError, TypeError, yaml.YAMLError, ValidationError) as wrong:
        log.warning("entry of the catalogue left out", file=str(file), error=str(wrong)[:400])
        return None


@lru_cache(maxsize=512)
def _entry_in(file: Path, _changed: int, _inode: int, _size: int) -> Entry:
    """Read once as long as the file is as it was: all of ours take 45 ms."""
    document = yaml.safe_load(file.read_text())
    return Entry.model_validate({**document, "slug": file.stem})


def answered(of: Entry, given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of its file, and those among them that were made here. Raises `Invalid` for what it doesn't
    ask."""
    unknown = sorted(set(given) - {one.name for one in of.asks})
    if unknown:
        raise Invalid(
            _("%(title)s doesn't ask for %(name)s.") % {"title": of.title, "name": unknown[0][:64]},
            field="variables",
        )
    values: dict[str, str] = {}
    made: dict[str, str] = {}
    for one in of.asks:
        value = given.get(one.name, "")
        if not value and one.generate:
            value = made[one.name] = random_password()
        values[one.name] = value or one.default
    return values, made


def show(one: Entry) -> answers.Entry:
    return {
        "slug": one.slug,
        "title": one.title,
        "kind": one.kind,
        "words": one.words,
        "site": one.site,
        "memory_mb": one.memory_mb,
        "asks": [
            {"name": each.name, "label": each.label, "default": each.default, "generate": each.generate}
            for each in one.asks
        ],
        "notes": list(one.notes),
        "compose": one.compose,
    }
