"""How far a node may be promised: held by placement, told by a verdict, tried by what-if."""

from typing import Any

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.capacity import capacities, overall, what_if
from panel.errors import Invalid, NoRoom
from panel.nodes.models import Node
from panel.nodes.services import update_node
from panel.plans.services import create_plan
from runtime.contract import Limits
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

GIB = 2**30


def node(**ratios: float | None) -> Node:
    """8 vCPU, 1 GiB, 10 GiB of pool."""
    made = factories.node(memory_bytes=GIB, memory_available_bytes=GIB, pool_bytes=10 * GIB)
    return update_node(factories.administrator(), made.pk, overcommit=ratios)


def test_placement_stops_at_the_ratio_and_gives_room_again() -> None:
    node(memory_mb=0.5)
    tenant = factories.tenant()
    made = [factories.environment(tenant) for _ in range(8)]
    with pytest.raises(NoRoom, match="overcommit ratio"):
        factories.environment(tenant)
    environments.delete_environment(factories.administrator(), made[0].pk)
    factories.gone(made[0])
    factories.environment(tenant)


def test_a_resize_stops_there_too() -> None:
    node(cpu=0.25)
    row = factories.environment(factories.tenant(), limits={**factories.LIMITS, "cpu": 1})
    environments.update_environment(factories.administrator(), row.pk, {"limits": {"cpu": 2}})
    with pytest.raises(NoRoom):
        environments.update_environment(factories.administrator(), row.pk, {"limits": {"cpu": 2.1}})


def test_none_is_promised_more_processes_than_a_node_has_for_all() -> None:
    factories.node(tasks=28_672)
    tenant = factories.tenant()
    with pytest.raises(Invalid, match="30000 processes are more than a node has") as refused:
        factories.environment(tenant, limits={**factories.LIMITS, "processes": 30_000})
    assert refused.value.field == "processes"
    larger = factories.node(tasks=4_190_208)
    assert factories.environment(tenant, limits={**factories.LIMITS, "processes": 30_000}).node == larger


def test_the_next_node_takes_what_one_has_no_promise_left_for() -> None:
    first = node(memory_mb=0.125)
    second = node(memory_mb=1)
    tenant = factories.tenant()
    placed = [factories.environment(tenant).node for _ in range(4)]
    assert placed.count(first) == 2 and placed.count(second) == 2


@pytest.mark.parametrize(
    ("ratios", "made", "tone", "words"),
    [
        ({}, 1, "ok", "has room"),
        ({}, 17, "warn", "memory promised 1.1 times, and no bound is set"),
        ({"memory_mb": 1}, 13, "warn", "memory is getting short"),
        ({"memory_mb": 1}, 16, "bad", "memory promised up to its bound"),
        ({"cpu": 1, "memory_mb": 2}, 16, "bad", "vCPU promised up to its bound"),
    ],
)
def test_the_verdict_says_what_is_short(ratios: dict[str, float], made: int, tone: str, words: str) -> None:
    one = node(**ratios)
    Node.objects.filter(pk=one.pk).update(
        reserved_cpu=made * 500, reserved_memory_mb=made * 64, reserved_disk_mb=made * 128
    )
    assert [(c.tone, c.words) for c in capacities()] == [(tone, words)]


def test_a_full_pool_is_full_whatever_was_promised() -> None:
    factories.node(pool_bytes=10 * GIB, pool_used_bytes=96 * GIB // 10)
    assert [(c.tone, c.words) for c in capacities()] == [("bad", "disk pool full")]


def test_what_if_places_as_placement_would_and_says_what_runs_out() -> None:
    node(memory_mb=1)
    node(memory_mb=0.5)
    size = Limits(cpu=0.5, memory_mb=64, disk_mb=128)
    answer = what_if(capacities(), size, 30)
    assert (answer.fitting, answer.short_of) == (24, "memory_mb")
    assert sorted(answer.by_node.values()) == [8, 16]
    tenant = factories.tenant()
    for _ in range(answer.fitting):
        factories.environment(tenant, is_running=False)
    with pytest.raises(NoRoom):
        factories.environment(tenant)
    assert what_if(capacities(), size, 1).fitting == 0


def test_the_sum_has_no_bound_where_one_node_has_none() -> None:
    node(memory_mb=1.5, cpu=2)
    node(cpu=2)
    all_ = overall(capacities())
    assert all_["memory_mb"].most is None and all_["memory_mb"].physical == 2048
    assert all_["cpu"].most == 32


def test_the_api_answers_what_if_by_plan_or_size(client: Client) -> None:
    one = node()
    administrator = factories.administrator()
    create_plan(administrator, name="S", slug="s", limits={"cpu": 1, "memory_mb": 256, "disk_mb": 512})
    headers = factories.bearer(administrator, None, "*")
    body: dict[str, Any] = {"overcommit": {"memory_mb": 2}}
    answer = client.patch(f"/api/v1/nodes/{one.pk}", body, content_type="application/json", headers=headers)
    assert answer.json()["overcommit"] == {"cpu": None, "memory_mb": 2, "disk_mb": None}
    told = client.get("/api/v1/capacity?plan=s&count=20", headers=headers).json()
    assert told["what_if"] == {"asked": 20, "fitting": 8, "nodes": {one.name: 8}, "short_of": "memory_mb"}
    assert told["nodes"][0]["resources"]["memory_mb"]["left"] == 2048
    told = client.get("/api/v1/capacity?count=3&cpu=1&memory_mb=64&disk_mb=64", headers=headers).json()
    assert told["what_if"]["fitting"] == 3
    assert client.get("/api/v1/capacity?plan=none&count=1", headers=headers).status_code == 422
    stranger = factories.tenant()
    headers = factories.bearer(factories.member(stranger), stranger, role="owner")
    assert client.get("/api/v1/capacity", headers=headers).status_code == 404


@pytest.mark.parametrize("ratios", [{"memory_mb": 0}, {"memory_mb": 101}, {"gpu": 1}])
def test_a_ratio_that_can_not_be_is_refused(ratios: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        node(**ratios)
