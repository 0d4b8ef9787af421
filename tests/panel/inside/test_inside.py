"""Docker's words on an environment: what the node says is shown, and whose it is to see."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments.models import Environment, EnvironmentUsage
from panel.errors import Refused
from panel.images import archives
from panel.nodes.agent import Agent
from panel.storage.node_files import NodeFiles
from runtime.contract.said import NOTHING
from runtime.contract.ways_in import Way, WayName, WaysIn
from runtime.contract.words import ways
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

PROCESS = {
    **{"pid": 1, "parent": 0, "uid": 0, "user": "root", "state": "S", "cpu_s": 0.5, "memory_bytes": 4096},
    **{"age_s": 12.0, "name": "<b>sh", "program": "/bin/sh"},
}
CHANGES = {
    "changes": [["added", "L2V0Yy94", "file", None, 5]],
    "counts": {"added": 1, "changed": 0, "removed": 0},
    "is_whole": True,
    "packages": [],
}


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


@pytest.fixture
def node_says(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    heard: dict[str, Any] = {}

    async def processes(*_: Any, **__: Any) -> dict[str, Any]:
        return {"processes": [PROCESS], "total": 1}

    async def changes(*_: Any, **__: Any) -> dict[str, Any]:
        return CHANGES

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async def attach(*_: Any, **asked: Any) -> AsyncIterator[bytes]:
        heard["attach"] = asked
        return pieces()

    async def copied_in(of: NodeFiles, path: bytes, archive: Any, size: int) -> dict[str, Any]:
        heard["archive"] = (archives.directory() / str(archive)).read_bytes()
        return {"entries": 1, "skipped": 0}

    monkeypatch.setattr(Agent, "processes", processes)
    monkeypatch.setattr(Agent, "attach", attach)
    monkeypatch.setattr(NodeFiles, "changes_of_image", changes)
    monkeypatch.setattr(NodeFiles, "copied_in", copied_in)
    return heard


@pytest.fixture
def operator(row: Environment) -> dict[str, str]:
    return _bearer(row, "operator")


def _bearer(row: Environment, role: str) -> dict[str, str]:
    return factories.bearer(factories.member(row.tenant, "owner"), row.tenant, role=role)


def _url(row: Environment, what: str) -> str:
    return f"/api/v1/environments/{row.pk}/{what}"


@pytest.mark.usefixtures("node_says")
def test_top_and_diff_are_as_the_node_says(row: Environment, client: Client, operator: Any) -> None:
    found = client.get(_url(row, "top"), headers=operator).json()
    assert found == {"items": [PROCESS], "count": 1}
    changed = client.get(_url(row, "diff"), headers=operator).json()
    assert changed["items"][0]["path"] == "/etc/x"
    viewer = _bearer(row, "viewer")
    for what in ("top", "diff", "cp"):
        assert client.get(_url(row, what), headers=viewer).status_code == 403, what
    other = factories.tenant()
    foreign = factories.bearer(factories.member(other, "owner"), other, role="operator")
    assert client.get(_url(row, "top"), headers=foreign).status_code == 404


@pytest.mark.usefixtures("node_says")
def test_the_page_shows_both_and_escapes_names(row: Environment, client: Client) -> None:
    client.force_login(factories.administrator().user)
    at = f"/environments/{row.pk}/processes"
    assert f'hx-get="{at}/top"' in client.get(at).content.decode()
    shown = client.get(f"{at}/top").content.decode()
    assert "&lt;b&gt;sh" in shown
    assert "/etc/x" in client.get(f"{at}/diff").content.decode()


def test_the_page_is_there_while_the_node_is_away(row: Environment, client: Client) -> None:
    client.force_login(factories.administrator().user)
    answer = client.get(f"/environments/{row.pk}/processes/top")
    assert answer.status_code == 200
    assert "asked right now" in answer.content.decode()


def test_stats_are_what_is_used_of_what_may_be(row: Environment, client: Client, operator: Any) -> None:
    EnvironmentUsage.objects.filter(environment=row).delete()
    assert client.get(_url(row, "stats"), headers=operator).json()["code"] == "not_measured"
    limit = row.contract_limits().memory_mb * 2**20
    EnvironmentUsage.objects.create(environment=row, at=row.created_at, cpu=0.25, memory_bytes=limit // 4)
    found = client.get(_url(row, "stats"), headers=operator).json()
    assert (found["cpu"], found["memory_limit_bytes"], found["memory_percent"]) == (0.25, limit, 25.0)


def test_events_are_what_was_done_and_what_happened(row: Environment, client: Client, operator: Any) -> None:
    assert (
        client.post(_url(row, "restart"), content_type="application/json", headers=operator).status_code == 202
    )
    found = client.get(_url(row, "events"), headers=operator).json()
    assert "restart" in {one["what"] for one in found["items"]}, found
    assert client.get(_url(row, "events?since=9999-01-01T00:00:00"), headers=operator).json()["count"] == 0
    assert client.get(_url(row, "events?since=soon"), headers=operator).status_code == 422


def test_attach_streams_and_types(
    row: Environment, client: Client, operator: Any, node_says: dict[str, Any]
) -> None:
    body = {"stdin": "secret\n", "timeout_s": 3}
    answer = client.post(_url(row, "attach"), body, content_type="application/json", headers=operator)
    assert answer.content == b"one two"
    assert node_says["attach"]["stdin"] == "secret\n"
    noted = AuditRecord.objects.get(action="environment.attach")
    assert noted.after == {"typed": True}
    Environment.objects.filter(pk=row.pk).update(kind="app")
    refused = client.post(_url(row, "attach"), body, content_type="application/json", headers=operator)
    assert (refused.status_code, refused.json()["field"]) == (422, "stdin")


def test_an_archive_comes_in_and_nothing_of_it_stays(
    row: Environment, client: Client, operator: Any, node_says: dict[str, Any]
) -> None:
    before = {one.name for one in archives.directory().iterdir()}

    def send(data: bytes, kind: str = "application/x-tar", path: str = "/srv") -> Any:
        return client.post(_url(row, f"cp?path={path}"), data, content_type=kind, headers=operator)

    assert send(b"\xff\x00tar").json() == {"entries": 1, "skipped": 0}
    assert node_says["archive"] == b"\xff\x00tar"
    assert send(b"{}", "application/json").status_code == 422
    assert send(b"").status_code == 422
    assert send(b"x", path="../etc").status_code == 422
    assert {one.name for one in archives.directory().iterdir() if not one.name.startswith(".lock")} <= before
    assert client.get(_url(row, "cp/check?path=/srv"), headers=operator).status_code == 204
    viewer = _bearer(row, "viewer")
    assert client.get(_url(row, "cp/check?path=/srv"), headers=viewer).status_code == 403


def test_an_archive_is_thrown_away_when_the_node_refuses(
    row: Environment, client: Client, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {one.name for one in archives.directory().iterdir()}

    async def copied_in(*_: Any) -> dict[str, Any]:
        raise Refused("this is no tar archive", code="bad_archive", status=422)

    monkeypatch.setattr(NodeFiles, "copied_in", copied_in)
    answer = client.post(_url(row, "cp?path=/"), b"x", content_type="application/x-tar", headers=operator)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_archive")
    assert {one.name for one in archives.directory().iterdir() if not one.name.startswith(".lock")} <= before


def test_ways_in_are_told_with_what_stands_before_them(
    row: Environment, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = {WayName.SSH_KEY: ways.setting("sshd", "AllowUsers <b>"), WayName.SSH_PASSWORD: ways.no_password()}

    async def ways_in(*_: Any, **__: Any) -> WaysIn:
        made = [Way(name=name, is_open=name not in why, why=why.get(name, NOTHING)) for name in WayName]
        return WaysIn(ways=tuple(made), ssh_port=2222)

    monkeypatch.setattr(Agent, "ways_in", ways_in)
    found = client.get(_url(row, "ways-in"), headers=_bearer(row, "viewer")).json()
    assert [one["is_open"] for one in found["items"]] == [True, False, False]
    assert (found["items"][1]["why"], found["ssh_port"]) == ("sshd says “AllowUsers <b>”", 2222)
    client.force_login(factories.administrator().user)
    at = f"/environments/{row.pk}/ways-in"
    assert f'hx-get="{at}"' in client.get(f"/environments/{row.pk}/").content.decode()
    shown = client.get(at, headers={"Accept-Language": "id"}).content.decode()
    assert "AllowUsers &lt;b&gt;" in shown
    assert "root tidak punya kata sandi" in shown
    Environment.objects.filter(pk=row.pk).update(kind="app")
    assert client.get(_url(row, "ways-in"), headers=_bearer(row, "viewer")).status_code == 422
    assert at not in client.get(f"/environments/{row.pk}/").content.decode()
