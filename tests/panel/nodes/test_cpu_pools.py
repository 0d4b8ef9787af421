"""Pools of processors are an administrator's: told to the node until it holds them, chosen for environments."""

from typing import Any

import pytest
from django.test import Client

from panel import dispatch
from panel.audit.models import AuditRecord
from panel.environments import services as environments
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.fleet import cpu_pools
from panel.nodes.cpu_pools import wanted
from panel.nodes.models import CpuPool, Node
from panel.nodes.services import observe_node
from runtime.contract import CpuPool as Told
from runtime.contract import CpuPools
from tests.panel.support import described, factories

pytestmark = pytest.mark.django_db
_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(dispatch, "hold_cpu_pools", lambda _node, document: found.append(document))
    return found


def says_it_holds(node: Node) -> None:
    node.refresh_from_db()
    observe_node(factories.node_report(node.name, cpu_pools=wanted(node)))
    node.refresh_from_db()


def test_a_node_is_told_until_it_holds_them(
    told: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    node, root = factories.node("one"), factories.administrator()
    with django_capture_on_commit_callbacks(execute=True):
        cpu_pools.add_pool(root, node.pk, name="db", processors="6-7")
    assert told == [{"revision": 1, "pools": [{"name": "db", "processors": [6, 7]}]}]
    with django_capture_on_commit_callbacks(execute=True):
        factories.node("one")
    assert len(told) == 2, "it says that it holds none"
    with django_capture_on_commit_callbacks(execute=True):
        says_it_holds(node)
    assert len(told) == 2
    assert cpu_pools.show(CpuPool.objects.select_related("node").get())["held"]


def test_a_database_that_is_older_than_the_node_goes_on_from_there(
    told: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    held = CpuPools(revision=9, pools=(Told(name="lost", processors=(1,)),))
    with django_capture_on_commit_callbacks(execute=True):
        factories.node("one", cpu_pools=held)
    assert told == [{"revision": 10, "pools": []}]


@pytest.mark.parametrize(
    ("name", "processors", "said"),
    [
        ("Db", "1", "lower-case"),
        ("db", "", "by number"),
        ("db", "x", "by number"),
        ("db", "3-2", "by number"),
        ("db", "-1", "by number"),
        ("db", "99999999999", "by number"),
        ("db", "8", "0 to 7"),
        ("db", "0-6", "One processor at least"),
        ("db", "7", "is in the pool"),
        ("web", "1", "already"),
    ],
)
def test_what_can_not_be_a_pool(name: str, processors: str, said: str) -> None:
    node, root = factories.node(), factories.administrator()
    cpu_pools.add_pool(root, node.pk, name="web", processors="7")
    with pytest.raises((Invalid, Conflict), match=said):
        cpu_pools.add_pool(root, node.pk, name=name, processors=processors)
    assert CpuPool.objects.count() == 1


def test_solaris_zone_an_environment_is_put_into_a_pool_by_an_administrator() -> None:
    node, root = factories.node(), factories.administrator()
    tenant = factories.tenant()
    pool = cpu_pools.add_pool(root, node.pk, name="db", processors="6-7")
    row = factories.environment(tenant)
    with pytest.raises(Conflict, match="no pool of processors named db"):
        environments.update_environment(root, row.pk, {"cpu_pool": "db"})
    with pytest.raises(Invalid, match="No node has a pool"):
        factories.environment(tenant, cpu_pool="db")
    says_it_holds(node)
    with pytest.raises(Forbidden):
        environments.update_environment(factories.member(tenant), row.pk, {"cpu_pool": "db"})
    environments.update_environment(root, row.pk, {"cpu_pool": "db"})
    row.refresh_from_db()
    assert spec_of(row).cpu_pool == "db"
    with pytest.raises(Conflict, match=row.name):
        cpu_pools.delete_pool(root, pool.pk)
    environments.update_environment(root, row.pk, {"cpu_pool": ""})
    cpu_pools.delete_pool(root, pool.pk)
    actions = AuditRecord.objects.filter(action__startswith="cpu-pool.").values_list("action", flat=True)
    assert set(actions) == {"cpu-pool.create", "cpu-pool.delete"}


def test_by_the_api_and_to_nobody_else(client: Client) -> None:
    node = factories.node()
    root = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    body = {"node": str(node.pk), "name": "db", "processors": "2, 3,5"}
    made = root.post("/api/v1/cpu-pools", body, content_type="application/json")
    assert made.status_code == 201, made.content
    described.check("cpu_pools_create", made.json())
    assert made.json()["processors"] == "2-3,5"
    one = f"/api/v1/cpu-pools/{made.json()['id']}"
    changed = root.patch(one, {"processors": "4"}, content_type="application/json")
    assert changed.json()["processors"] == "4"
    assert root.get("/api/v1/cpu-pools").json()["count"] == 1
    with pytest.raises(NotFound):
        cpu_pools.rows_of(factories.member(factories.tenant()))
    assert root.delete(one).status_code == 204
    assert root.delete(one).status_code == 404


def test_the_page_makes_one_and_takes_it_away(client: Client) -> None:
    node = factories.node()
    client.force_login(factories.administrator().user, _BACKEND)
    refused = client.post("/cpu-pools/", {"node": str(node.pk), "name": "db", "processors": "0-7"})
    assert refused.status_code == 422 and "One processor at least" in refused.content.decode()
    client.post("/cpu-pools/", {"node": str(node.pk), "name": "db", "processors": "7"})
    row = CpuPool.objects.get()
    text = client.get("/cpu-pools/").content.decode()
    assert "db" in text and "the node is being told" in text
    client.post(f"/cpu-pools/{row.pk}/remove")
    assert not CpuPool.objects.exists()
