"""What a node's kernel says of an environment: whose it is to see, in which words, and without the node."""

from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.models import Environment, EnvironmentUsage
from panel.isolation.services import DIRECTORY_WALLS
from panel.metering.intake import observe_usage
from panel.nodes.agent import Agent
from runtime.contract import Kind, Usage, UsageReport
from runtime.node import IDS_PER_SLOT
from runtime.oci.directory import entry_namespaces
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
    assert counted["items"][0] == {"resource": "numproc", **TASKS, "last_failed_at": None}
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


def shown(client: Client, row: Environment) -> str:
    client.force_login(factories.administrator().user)
    answer = client.get(f"/environments/{row.pk}/isolation/kernel")
    assert answer.status_code == 200
    return " ".join(unescape(answer.content.decode()).split())


@pytest.mark.usefixtures("node_says")
def test_a_guarded_one_is_said_to_have_gvisor_between_itself_and_the_host(
    row: Environment, client: Client
) -> None:
    Environment.objects.filter(pk=row.pk).update(kernel="guarded")
    page = shown(client, row)
    assert "gVisor's, which answers its system calls" in page
    assert "needs a fault in gVisor's kernel, and is then that process" in page
    assert "shared with others" not in page
    assert "needs a fault in the kernel that the allowed system calls reach" not in page


@pytest.mark.usefixtures("node_says")
def test_a_rescue_system_is_said_to_run_on_the_hosts_kernel(row: Environment, client: Client) -> None:
    Environment.objects.filter(pk=row.pk).update(kernel="guarded", intent={**row.intent, "rescue": "online"})
    page = shown(client, row)
    assert "the host's own, shared with others" in page
    assert "gVisor" not in page


@pytest.mark.usefixtures("node_says")
def test_what_a_jail_may_and_which_devices_it_has_stand_among_its_switches(
    row: Environment, client: Client
) -> None:
    jail = {"allow": ["mount", "raw_sockets"], "children_max": 4}
    given = {"devices": ["/dev/fuse"], "host_devices": [{"name": "modem", "access": "read"}]}
    assert "Allowed" not in shown(client, row)
    Environment.objects.filter(pk=row.pk).update(kind="jail", intent={**row.intent, "jail": jail, **given})
    page = shown(client, row)
    for word in (">mount<", ">raw_sockets<", "children at most: 4", "/dev/fuse", ">modem<"):
        assert word in page
    Environment.objects.filter(pk=row.pk).update(intent={**row.intent, "jail": {"allow": []}})
    assert "every switch is off" in shown(client, row)


def test_a_directory_has_the_walls_of_whoever_is_in_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def kernel(*_: Any, **__: Any) -> dict[str, Any]:
        return {"walls": None, "counters": {}}

    monkeypatch.setattr(Agent, "kernel", kernel)
    factories.node(kinds=tuple(Kind))
    page = shown(client, factories.environment(factories.tenant(), kind="directory", image=""))
    assert "It doesn't run" not in page
    assert "while somebody is in it" in page
    assert "none, and none that can be had" in page
    assert "Switches" not in page
    assert set(DIRECTORY_WALLS["namespaces"]) == {one["type"] for one in entry_namespaces()}
    assert DIRECTORY_WALLS["ids"] == IDS_PER_SLOT


@pytest.mark.usefixtures("node_says")
def test_openvz_beancounters_say_when_one_failed_last(row: Environment, client: Client) -> None:
    """One that was hit, one that began anew with its environment and was hit, one that only began anew."""
    began = timezone.now() - timedelta(hours=1)

    def used(after_s: int, processes: int, memory: int) -> None:
        use = Usage(environment_id=row.pk, process_hits=processes, memory_hits=memory)
        at = began + timedelta(seconds=after_s)
        observe_usage(UsageReport(node=row.node.name, at=at, usages=(use,)))

    def failed(name: str) -> float | None:
        usage = EnvironmentUsage.objects.get(environment=row)
        at: datetime | None = getattr(usage, f"{name}_hit_at")
        return (at - began).total_seconds() if at is not None else None

    used(0, 3, 2)
    assert (failed("process"), failed("memory")) == (None, None), "nobody saw when"
    used(5, 4, 2)
    used(10, 4, 2)
    assert (failed("process"), failed("memory")) == (5, None)
    used(15, 0, 1)
    assert (failed("process"), failed("memory")) == (5, 15)
    headers = factories.bearer(factories.administrator(), None, "environment.view")
    (tasks, _disk) = client.get(f"/api/v1/environments/{row.pk}/beancounters", headers=headers).json()["items"]
    assert datetime.fromisoformat(tasks["last_failed_at"]) == began.replace(
        microsecond=began.microsecond // 1000 * 1000
    ) + timedelta(seconds=5)
