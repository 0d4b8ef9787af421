"""Settings as somebody sees them who may change none: what is so, in words, and who may change it."""

import re
from html import unescape
from typing import Any

import pytest

from panel.environments.models import Environment
from runtime.contract import Device, Kernel, Kind
from runtime.contract.node import Cell
from tests.panel.support import factories
from tests.panel.support.pages import signed_in

pytestmark = pytest.mark.django_db

APP: dict[str, Any] = {"kind": "app", "image": "r.example.com/a:1", "app": {"secrets": {"DB": "hidden"}}}
EACH: list[dict[str, Any]] = [
    {"devices": [Device.FUSE.value]},
    APP,
    {"kind": "jail", "jail": {"allow": ["raw_sockets"]}},
    {"kind": "directory", "image": ""},
]
#: Without the frame: whoever changes nothing has menus, a search and a language of his own all the same.
_MAIN = re.compile(r"<main\b.*?</main>", re.S)


@pytest.fixture(autouse=True)
def _node() -> None:
    matrix = tuple(Cell(kind=kind, kernel=Kernel.SHARED) for kind in Kind)
    factories.node(kinds=tuple(Kind), devices=tuple(Device), matrix=matrix)


def page_of(row: Environment, role: str, tab: str = "settings") -> str:
    answer = signed_in(factories.member(row.tenant, role).user).get(f"/environments/{row.pk}/{tab}")
    found = _MAIN.search(answer.content.decode())
    assert found, (tab, answer.status_code)
    return " ".join(unescape(found[0]).split())


@pytest.mark.parametrize("is_running", [True, False])
@pytest.mark.parametrize("fields", EACH, ids=lambda each: each.get("kind", "system"))
def test_they_show_values_and_no_form(fields: dict[str, Any], is_running: bool) -> None:
    row = factories.environment(factories.tenant(), is_running=is_running, **fields)
    page = page_of(row, "viewer")
    assert not re.search(r"<(input|button|select|textarea)[^>]*\sdisabled", page)
    assert f"/environments/{row.pk}/settings/" not in page
    assert 'type="radio"' not in page
    panels = re.findall(r'<section class="panel[^"]*"(?: id="([\w-]+)")?>(.*?)</section>', page)
    assert {"general", *(["kernel"] if row.kind != "directory" else [])} <= {name for name, _ in panels}
    for name, text in panels:
        assert "ask an owner of the tenant" in text, name


@pytest.mark.parametrize("tab", ["", "network", "snapshots", "backups", "volumes", "domains", "shares"])
def test_other_pages_have_no_grey_button_for_them(tab: str) -> None:
    row = factories.environment(factories.tenant(), ipv4=1)
    assert not re.search(r"<(input|button|select|textarea)[^>]*\sdisabled", page_of(row, "viewer", tab))


def test_devices_that_it_has_are_told() -> None:
    row = factories.environment(factories.tenant(), devices=[Device.FUSE.value])
    panel = page_of(row, "viewer").partition('id="devices"')[2].partition("</section>")[0]
    assert "/dev/fuse" in panel


def test_names_of_secrets_are_told_and_who_may_takes_them_out() -> None:
    row = factories.environment(factories.tenant(), **APP)
    assert "/run/secrets/DB" in page_of(row, "viewer")
    assert "Take out" not in page_of(row, "viewer")
    assert "Take out" in page_of(row, "owner")
