"""Several files at once, as people ask for it: what is refused before a node is asked, and what is noted."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from panel.rights.actor import Actor
from panel.storage.arranging import (
    change_files,
    delete_files,
    empty_trash,
    list_trash,
    move_files,
    restore_trash,
)
from panel.storage.node_files import NodeFiles
from panel.storage.packing import pack_files, search_files, unpack_file
from panel.tenancy.services import update_tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

Write = Callable[[Actor], Any]


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


def _writes(row: Environment) -> list[Write]:
    return [
        lambda who: move_files(who, row.pk, ["a"], name=("b", "")),
        lambda who: move_files(who, row.pk, ["a"], into=("/b", ""), copies=True),
        lambda who: delete_files(who, row.pk, ["a"], trash=True),
        lambda who: change_files(who, row.pk, ["a"], mode="644"),
        lambda who: restore_trash(who, row.pk, ["1"]),
        lambda who: empty_trash(who, row.pk),
        lambda who: pack_files(who, row.pk, ["a"], [], ("b.zip", ""), form="zip"),
        lambda who: unpack_file(who, row.pk, ("b.zip", ""), ("c", "")),
    ]


def test_who_may_not_run_commands_inside_arranges_nothing(row: Environment) -> None:
    for write in [
        *_writes(row),
        lambda who: list_trash(who, row.pk),
        lambda who: search_files(who, row.pk, "", ("", ""), "x"),
    ]:
        with pytest.raises(Forbidden):
            write(factories.member(row.tenant, "viewer"))
        with pytest.raises(NotFound):
            write(factories.member(factories.tenant()))


def test_what_lies_in_the_trash_of_environments_is_not_changed(row: Environment) -> None:
    actor = factories.administrator()
    update_tenant(actor, row.tenant_id, trash_days=7)
    delete_environment(actor, row.pk)
    for write in _writes(row):
        with pytest.raises(Conflict):
            write(actor)
    list_trash(actor, row.pk).place.give_back()


@pytest.mark.parametrize(
    "bad",
    [
        lambda who, pk: move_files(who, pk, [], name=("b", "")),
        lambda who, pk: move_files(who, pk, ["a"] * 501, into=("/", "")),
        lambda who, pk: move_files(who, pk, ["a", "b"], name=("c", "")),
        lambda who, pk: move_files(who, pk, ["a"]),
        lambda who, pk: move_files(who, pk, ["a"], if_exists="keep_both"),
        lambda who, pk: move_files(who, pk, ["/"], into=("/b", "")),
        lambda who, pk: move_files(who, pk, ["../a"], into=("/b", "")),
        lambda who, pk: move_files(who, pk, ["a"], into=("/../b", "")),
        lambda who, pk: move_files(who, pk, ["a"], name=("b/c", "")),
        lambda who, pk: move_files(who, pk, ["a"], name=("n" * 256, "")),
        lambda who, pk: delete_files(who, pk, [], ["%%"]),
        lambda who, pk: change_files(who, pk, ["a"]),
        lambda who, pk: change_files(who, pk, ["a"], mode="u+x"),
        lambda who, pk: change_files(who, pk, ["a"], mode="12345"),
        lambda who, pk: change_files(who, pk, ["a"], owner="a:b"),
        lambda who, pk: change_files(who, pk, ["a"], group="a b"),
        lambda who, pk: restore_trash(who, pk, []),
        lambda who, pk: pack_files(who, pk, [], [], ("b", ""), form="zip"),
        lambda who, pk: pack_files(who, pk, ["a"], [], ("", ""), form="zip"),
        lambda who, pk: unpack_file(who, pk, ("", ""), ("c", "")),
        lambda who, pk: unpack_file(who, pk, ("a.zip", ""), ("../c", "")),
        lambda who, pk: search_files(who, pk, "", ("", ""), ""),
        lambda who, pk: search_files(who, pk, "", ("", ""), "x" * 256),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_noted(row: Environment, bad: Callable[..., Any]) -> None:
    with pytest.raises(Invalid):
        bad(factories.administrator(), row.pk)
    assert not AuditRecord.objects.filter(action__startswith="environment.file_").exists()


def test_what_was_asked_is_noted_with_its_first_path_and_its_number(row: Environment, client: Client) -> None:
    headers = factories.bearer(factories.administrator(), None, "*")
    at = f"/api/v1/environments/{row.pk}/files"
    sent: dict[str, dict[str, Any]] = {
        "move": {"paths": ["/a"], "into": "/srv", "name": "b"},
        "copy": {"paths": ["/a", "/b"], "into64": "L3Nydg=="},
        "delete": {"paths": ["/a"], "paths64": ["L/8="], "trash": True},
        "attributes": {"paths": ["/a"], "owner": "www-data", "recursive": True},
        "trash/restore": {"ids": ["1"]},
        "trash/empty": {},
    }
    for verb, body in sent.items():
        answer = client.post(f"{at}/{verb}", body, content_type="application/json", headers=headers)
        assert answer.status_code == 503, answer.content  # no node is there to do it
    assert client.get(f"{at}/trash", headers=headers).status_code == 503
    noted = AuditRecord.objects.filter(action__startswith="environment.file_").order_by("at", "pk")
    assert [(one.action.removeprefix("environment."), one.after) for one in noted] == [
        ("file_move", {"path": "/a", "to": "/srv/b"}),
        ("file_copy", {"path": "/a", "count": 2, "to": "/srv/"}),
        ("file_delete", {"path": "/a", "count": 2, "trash": True}),
        ("file_mode", {"path": "/a", "owner": "www-data", "recursive": True}),
        ("file_undelete", {"path": "1"}),
        ("file_purge", {"path": "", "count": 0}),
    ]


async def _said(*_: object, **__: object) -> dict[str, Any]:
    told = {"code": "agent.name_taken", "text": "something has this name there already"}
    return {"done": 0, "failed": [["L2E=", "exists", told]]}


async def _half(*_: object, **__: object) -> dict[str, Any]:
    return {**await _said(), "done": 1}


def test_what_could_not_be_done_is_told_and_nothing_at_all_is_a_refusal(
    row: Environment, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = factories.bearer(factories.administrator(), None, "*")
    at = f"/api/v1/environments/{row.pk}/files/delete"
    sent = {"paths": ["/a", "/b"]}
    monkeypatch.setattr(NodeFiles, "arrange", _half)
    answer = client.post(at, sent, content_type="application/json", headers=headers)
    failed = {
        "path": "/a",
        "path64": "L2E=",
        "code": "exists",
        "detail": "something has this name there already",
    }
    assert (answer.status_code, answer.json()) == (200, {"done": 1, "failed": [failed]})
    monkeypatch.setattr(NodeFiles, "arrange", _said)
    answer = client.post(at, sent, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (Refused.status, "exists")
