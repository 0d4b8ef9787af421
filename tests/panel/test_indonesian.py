"""Pages in Indonesian have no word left that only English has."""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
from babel.messages.pofile import read_po
from django.db import transaction
from django.utils.translation import override
from pydantic import BaseModel

from panel import codes
from panel.audit.models import AuditRecord
from panel.audit.templatetags.audit import TARGETS
from panel.environments.document import Intent
from panel.plans.terms import Allowances, Choices, TrafficAction
from panel.rights.permissions import RoleName
from runtime.contract import Kernel, Kind, Limits, Rescue, SecurityClass
from runtime.contract.environment import RestartMode
from runtime.install.layout import CHECKOUT
from tests.e2e.browser.walk import OUTSIDE, PAGES
from tests.panel.security.world import World, make_world

pytestmark = pytest.mark.django_db

_WORD = re.compile(r"(?<![\w./:@-])[A-Za-z]{3,}(?![\w/@:-]|\.\w)")
#: Words of the field in any language, names of things, and what the world of these tests is called.
_TERMS = frozenset(
    """
    wadah busybox debian bookworm trixie utc json lines csv uuid http https tls smtp dns ram
    mib gib tib kib gbit mbit kbit redis celery django linux openvpn sshfs appimage
    """.split()
)
_OF_THE_WORLD = re.compile(r"amber|cobalt|walked|walking|person|tenant-|ve-|test|you@laptop|AAAA")
_SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-confirm", "data-message")
_NOT_READ = ("script", "style", "code", "pre", "kbd", "samp")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


class _Text(HTMLParser):
    """What a reader of the language reads or hears: not code, nor what is marked as another language's."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        is_other = tag in _NOT_READ or (tag != "html" and "lang" in said) or said.get("translate") == "no"
        if tag not in _VOID:
            self._open.append((tag, is_other))
        if not is_other and not self._is_other:
            self.read += [said[one] or "" for one in _SPOKEN if one in said]

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place][0] == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        if not self._is_other and data.strip():
            self.read.append(" ".join(data.split()))

    @property
    def _is_other(self) -> bool:
        return any(is_other for _, is_other in self._open)


def words_of(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def read_in(page: str) -> list[str]:
    parser = _Text()
    parser.feed(page)
    return parser.read


def _catalogues() -> Iterator[Path]:
    """Ours, and those of the libraries whose sentences our pages have as well."""
    yield CHECKOUT / "panel" / "locale" / "id" / "LC_MESSAGES" / "django.po"
    for package in ("allauth", "django.contrib.auth", "django"):
        root = Path(import_module(package).__file__ or "").parent
        yield from root.glob("**/locale/id/LC_MESSAGES/django.po")


@pytest.fixture(scope="module")
def spoken() -> set[str]:
    """Words that some Indonesian sentence has."""
    found = set(_TERMS)
    for file in _catalogues():
        with file.open("rb") as catalogue:
            for one in read_po(catalogue):
                for text in [one.string] if isinstance(one.string, str) else one.string:
                    found |= words_of(re.sub(r"%\(\w+\)[sd]|<[^>]*>", " ", text))
    return found


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: object) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():  # type: ignore[attr-defined]
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture
def _django_db_helper() -> None:
    """Instead of a transaction for each test: all of them share the world's."""


_OF_ITS_OWN = ("audit", "environment", "people", "profile", "tenant", "tokens")


@pytest.mark.parametrize("name", sorted((PAGES | OUTSIDE).keys() - {"components"}))
def test_the_provider_reads_no_english(world: World, spoken: set[str], name: str) -> None:
    assert _left(world, spoken, name, "anonymous" if name in OUTSIDE else "platform") == []


@pytest.mark.parametrize("name", sorted(one for one in PAGES if one.startswith(_OF_ITS_OWN)))
def test_a_tenant_reads_no_english(world: World, spoken: set[str], name: str) -> None:
    assert _left(world, spoken, name, "owner") == []


def _left(world: World, spoken: set[str], name: str, role: str) -> list[str]:
    path = (PAGES | OUTSIDE)[name].format_map(world.values(world.own))
    page = world.client(role).get(path, headers={"Accept-Language": "id"}, follow=True)
    texts = (_OF_THE_WORLD.sub(" ", one) for one in read_in(page.content.decode()))
    return sorted({f"{sorted(odd)}: {one[:160]}" for one in texts if (odd := words_of(one) - spoken)})


@pytest.mark.parametrize("model", [Intent, Allowances, Choices, Limits])
def test_every_field_that_is_kept_has_a_word(model: type[BaseModel]) -> None:
    """Of a document: the record of what was done shows each of them."""
    lacking = sorted(_fields(model) - codes.FIELDS.keys())
    assert not lacking, f"add to FIELDS in panel/codes.py: {lacking}"


@pytest.mark.parametrize("words", [Kind, Kernel, SecurityClass, RestartMode, Rescue, TrafficAction, RoleName])
def test_every_value_that_is_kept_has_a_word(words: Iterable[str]) -> None:
    lacking = sorted({str(one) for one in words} - codes.VALUES.keys())
    assert not lacking, f"add to VALUES in panel/codes.py: {lacking}"


def _fields(of: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(of, type) and issubclass(of, BaseModel):
        for name, field in of.model_fields.items():
            found |= {name} | _fields(field.annotation)
    for one in get_args(of):
        found |= _fields(one)
    return found


def test_what_somebody_named_keeps_its_name() -> None:
    with override("id"):
        assert codes.value_of("name", "system") == "system"
        assert codes.value_of("kind", "system") == "sistem"
        assert codes.value({"nesting": True, "name": "system"}) == "kontainer di dalam ya, nama system"
        assert codes.value([]) == codes.value(None) == "–"
        assert codes.field("of_tomorrow") == "of tomorrow"


def test_whatever_something_was_done_to_has_a_word(world: World) -> None:
    kinds = set(AuditRecord.objects.exclude(target_type="").values_list("target_type", flat=True))
    assert not kinds - TARGETS.keys(), "add to TARGETS in panel/audit/templatetags/audit.py"
