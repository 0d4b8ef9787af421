"""The catalogue: every entry's file is one that a stack is made from, with what it asks."""

import json
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation import override

from panel.rights.actor import Actor
from panel.stacks import entries
from panel.stacks.compose import Source, read
from panel.stacks.models import Stack
from tests.packages.debian_apps import ASKED, NOT_HAD
from tests.panel.support import factories

_SLUGS = sorted(one.stem for one in Path(entries.__file__).with_name("catalogue").glob("*.yml"))


@pytest.mark.parametrize("slug", _SLUGS)
def test_every_entry_is_read_and_asks_for_all_that_its_file_needs(slug: str) -> None:
    one = entries.entry(slug)
    variables, made = entries.answered(one, {})
    assert set(made) == {each.name for each in one.asks if each.generate}
    project = read(Source(one.compose, variables=variables))
    assert not [each.text for each in project.notes if "isn't set" in each.text]
    for service in project.services:
        host, _, rest = service.image.partition("/")
        assert "." in host
        assert ":" in rest
        assert not rest.endswith(":latest")


def test_there_are_many() -> None:
    assert len(_SLUGS) >= 20


def test_each_is_started_by_a_test_or_it_is_said_why_not() -> None:
    assert sorted([*ASKED, *NOT_HAD]) == _SLUGS


@pytest.mark.django_db
def test_one_is_taken_and_its_passwords_are_told_once(client: Client) -> None:
    node = factories.node()
    tenant = factories.tenant()
    owner: Actor = factories.member(tenant)
    who = factories.bearer(owner, tenant, role="owner")
    body = {"tenant": tenant.slug, "name": "blog", "node": node.name}
    path = "/api/v1/catalogue/wordpress"
    answer = client.post(path, json.dumps(body), content_type="application/json", headers=who)
    assert answer.status_code == 202, answer.content
    made = answer.json()["generated"]["DB_PASSWORD"]
    assert len(made) >= 20
    stack = Stack.objects.get()
    assert stack.catalogue == "wordpress"
    assert stack.values["variables"]["DB_PASSWORD"] == made
    again = client.get(f"/api/v1/stacks/{stack.pk}", headers=who)
    assert made not in again.content.decode()
    odd = client.post(
        path,
        json.dumps({**body, "name": "more", "variables": {"ODD": "1"}}),
        content_type="application/json",
        headers=who,
    )
    assert (odd.status_code, odd.json()["field"]) == (422, "variables")


def test_a_provider_adds_entries_and_a_broken_one_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = (Path(entries.__file__).with_name("catalogue") / "whoami.yml").read_text()
    (tmp_path / "own.yml").write_text(ours.replace('title: "whoami"', "title: Own"))
    (tmp_path / "whoami.yml").write_text(ours.replace('title: "whoami"', "title: Ours"))
    for name, text in (
        ("broken", "{"),
        ("Bad Name", ours),
        ("empty", ""),
        ("list", "[]"),
        ("odd", ours + "more: 1\n"),
    ):
        (tmp_path / f"{name}.yml").write_text(text)
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"catalogue": tmp_path}))
    found = entries.entries()
    assert found["own"].title == "Own"
    assert found["whoami"].title == "Ours"
    assert set(found) == {*_SLUGS, "own"}


def test_it_is_searched_by_words_in_any_order() -> None:
    postgresql = entries.entry("postgresql")
    assert entries.is_about(postgresql, "relational POST")
    assert entries.is_about(postgresql, "")
    assert not entries.is_about(postgresql, "relational nothing")
    with override("id"):
        assert entries.is_about(postgresql, "basis data")
