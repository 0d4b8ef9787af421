"""Files of a snapshot: who may look, and what is no path."""

from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, Suspended
from panel.storage.files import (
    changes,
    delete_file,
    download_archive,
    download_file,
    list_files,
    put_back,
    put_file,
    raw_path,
)
from panel.storage.services import take_snapshot
from panel.tenancy.lifecycle import suspend_tenant
from panel.tenancy.services import update_tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


def test_who_may_run_commands_inside_may_look(row: Environment) -> None:
    snapshot, _ = take_snapshot(factories.administrator(), row.pk)
    operator = factories.member(row.tenant, "operator")
    with pytest.raises(Conflict, match="not ready"):
        list_files(operator, row.pk, str(snapshot.pk), "")
    factories.reported(row)
    list_files(operator, row.pk, str(snapshot.pk), "").place.give_back()
    download_file(operator, row.pk, str(snapshot.pk), "etc/hosts").place.give_back()
    for look in (list_files, download_file):
        with pytest.raises(Forbidden):
            look(factories.member(row.tenant, "viewer"), row.pk, str(snapshot.pk), "")
        with pytest.raises(NotFound):
            look(factories.member(factories.tenant()), row.pk, str(snapshot.pk), "")
        with pytest.raises(NotFound):
            look(operator, row.pk, str(uuid4()), "")


@pytest.mark.parametrize(
    ("path", "path64"),
    [("../x", ""), ("a/../b", ""), ("a\0b", ""), ("x" * 5000, ""), ("", "%%%"), ("a", "YQ==")],
)
def test_what_is_no_path_is_refused(path: str, path64: str) -> None:
    with pytest.raises(Invalid):
        raw_path(path, path64)
    assert raw_path("", "//4=") == b"\xff\xfe"


def test_a_node_that_is_away_is_said(row: Environment, client: Client) -> None:
    snapshot, _ = take_snapshot(factories.administrator(), row.pk)
    factories.reported(row)
    headers = factories.bearer(factories.administrator(), None, "*")
    url = f"/api/v1/environments/{row.pk}/files"
    for path in ("", "/content", "/archive"):
        for query in ({"snapshot": str(snapshot.pk), "path": "/etc"}, {"path": "/etc"}):
            answer = client.get(f"{url}{path}", query, headers=headers)
            assert answer.status_code == 503, answer.content
    assert client.get(url, {"snapshot": "no"}, headers=headers).status_code == 404
    at = f"/api/v1/environments/{row.pk}/snapshots/{snapshot.pk}"
    for query in ({}, {"to": str(snapshot.pk)}):
        assert client.get(f"{at}/changes", query, headers=headers).status_code == 503
    assert client.get(f"{at}/changes", {"to": str(uuid4())}, headers=headers).status_code == 404
    sent = {"path": "/etc/hosts"}
    answer = client.post(f"{at}/put-back", sent, content_type="application/json", headers=headers)
    assert answer.status_code == 503


def _put(
    client: Client, row: Environment, headers: dict[str, str], body: bytes, path: str = "/x"
) -> HttpResponse:
    at = f"/api/v1/environments/{row.pk}/files/content?path={path}"
    return client.put(at, body, content_type="application/octet-stream", headers=headers)


def test_what_is_written_is_small_and_has_a_name(row: Environment, client: Client) -> None:
    headers = factories.bearer(factories.administrator(), None, "*")
    assert _put(client, row, headers, b"\xff\0").status_code == 503  # and no 415: it is a file
    assert _put(client, row, headers, bytes(2**20 + 1)).json()["code"] == "too_long"
    for path in ("", "/", "//", ".", "/./", "../x", "a/../../b"):
        assert _put(client, row, headers, b"x", path).status_code == 422
        at = f"/api/v1/environments/{row.pk}/files/content?path={path}"
        assert client.delete(at, headers=headers).status_code == 422
    noted = AuditRecord.objects.filter(action__startswith="environment.file_").values_list("action", flat=True)
    assert list(noted) == ["environment.file_put"]  # what was refused for its name was nothing


@pytest.mark.parametrize("state", ["trashed", "suspended", "deleting"])
def test_what_is_on_its_way_out_is_looked_at_and_not_written(row: Environment, state: str) -> None:
    actor = factories.administrator()
    snapshot, _ = take_snapshot(actor, row.pk)
    factories.reported(row)
    if state == "suspended":
        suspend_tenant(actor, row.tenant_id)
    else:
        update_tenant(actor, row.tenant_id, trash_days=7)
        delete_environment(actor, row.pk, now=state == "deleting")
    list_files(actor, row.pk, str(snapshot.pk), "").place.give_back()
    changes(actor, row.pk, snapshot.pk).place.give_back()
    for write in (
        lambda: put_file(actor, row.pk, "x", "", b"x"),
        lambda: delete_file(actor, row.pk, "x"),
        lambda: put_back(actor, row.pk, snapshot.pk, "x"),
    ):
        with pytest.raises((Conflict, Suspended)) as refused:
            write()
        assert refused.value.code in ("trashed", "tenant_suspended", "deleting")


def test_who_may_not_run_commands_inside_writes_nothing(row: Environment) -> None:
    snapshot, _ = take_snapshot(factories.administrator(), row.pk)
    factories.reported(row)
    for who, refusal in (
        (factories.member(row.tenant, "viewer"), Forbidden),
        (factories.member(factories.tenant()), NotFound),
    ):
        for write in (
            lambda who=who: put_file(who, row.pk, "x", "", b"x"),
            lambda who=who: delete_file(who, row.pk, "x"),
            lambda who=who: put_back(who, row.pk, snapshot.pk, "x"),
            lambda who=who: changes(who, row.pk, snapshot.pk),
            lambda who=who: download_archive(who, row.pk, "", "x"),
        ):
            with pytest.raises(refusal):
                write()
