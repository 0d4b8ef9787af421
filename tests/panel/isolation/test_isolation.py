"""What a node's kernel says of an environment: whose it is to see, in which words, and without the node."""

from typing import Any

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.nodes.agent import Agent
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

WALLS = {
    "kernel": "6.18.5",
    "namespaces": {"user": 4026532000, "network": 4026532001},
    "ids": 65_536,
    "capabilities": ["CAP_CHOWN"],
    "filters": 1,
    "no_new_privileges": False,
}
TASKS = {"unit": "tasks", "held": 3, "maxheld": 9, "barrier": None, "limit": 100, "failcnt": 2}


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


@pytest.fixture
def node_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def kernel(*_: Any, **__: Any) -> dict[str, Any]:
        return {"walls": WALLS, "counters": {"numproc": TASKS}}

    monkeypatch.setattr(Agent, "kernel", kernel)


@pytest.mark.usefixtures("node_says")
def test_who_sees_it_sees_its_walls_and_its_counters(row: Environment, client: Client) -> None:
    headers = factories.bearer(factories.member(row.tenant, "owner"), row.tenant, "environment.view")
    url = f"/api/v1/environments/{row.pk}"
    seen = client.get(f"{url}/isolation", headers=headers).json()
    assert (seen["kind"], seen["kernel"], seen["walls"]) == ("system", "shared", WALLS)
    counted = client.get(f"{url}/beancounters", headers=headers).json()
    assert counted["items"][0] == {"resource": "numproc", **TASKS}
    disk = counted["items"][1]
    assert (disk["resource"], disk["limit"]) == ("diskspace", row.contract_limits().disk_mb * 1024)
    other = factories.tenant()
    foreign = factories.bearer(factories.member(other), other, "environment.view")
    assert client.get(f"{url}/isolation", headers=foreign).status_code == 404


@pytest.mark.usefixtures("node_says")
def test_the_page_shows_both(row: Environment, client: Client) -> None:
    client.force_login(factories.administrator().user)
    url = f"/environments/{row.pk}/isolation"
    assert f'hx-get="{url}/kernel"' in client.get(url).content.decode()
    page = client.get(f"{url}/kernel").content.decode()
    assert "4026532001" in page
    assert "CAP_CHOWN" in page
    assert "numproc" in page


def test_the_page_is_there_while_the_node_is_away(row: Environment, client: Client) -> None:
    client.force_login(factories.administrator().user)
    answer = client.get(f"/environments/{row.pk}/isolation/kernel")
    assert answer.status_code == 200
    assert "Not known right now." in answer.content.decode()
