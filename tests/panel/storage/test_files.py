"""Files of a snapshot: who may look, and what is no path."""

from uuid import uuid4

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.storage.files import download_file, list_files, raw_path
from panel.storage.services import take_snapshot
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
    for path in ("", "/content"):
        answer = client.get(f"{url}{path}", {"snapshot": str(snapshot.pk), "path": "/etc"}, headers=headers)
        assert answer.status_code == 503, answer.content
    assert client.get(url, {"snapshot": "no"}, headers=headers).status_code == 404
    assert client.get(url, headers=headers).status_code == 422
