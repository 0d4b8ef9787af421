"""Devices of hosts: an administrator allows them, a node is told of them, environments are given them."""

from typing import Any

import pytest
from django.test import Client

from panel import dispatch
from panel.audit.models import AuditRecord
from panel.environments import host_devices as of_environments
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from panel.fleet import devices
from panel.nodes.host_devices import wanted
from panel.nodes.models import HostDevice, Node
from panel.nodes.services import observe_node
from panel.plans.services import create_plan
from runtime.contract import DeviceClass, DeviceState, GivenDevice, HeldDevices, Kernel, SeenDevice
from runtime.contract.words import devices as words
from tests.panel.support import described, factories

pytestmark = pytest.mark.django_db
_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
PORT = SeenDevice(path="/dev/ttyUSB0", sort=DeviceClass.SERIAL, number="188:0", udev=("ID_SERIAL=Acme_1",))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(dispatch, "allow_devices", lambda _node, document: found.append(document))
    return found


@pytest.fixture
def node() -> Node:
    return factories.node("one", seen_devices=(PORT,))


def says_it_holds(node: Node, **states: Any) -> None:
    """Each is plugged in, but for what is said otherwise."""
    node.refresh_from_db()
    there = tuple(
        DeviceState(name=one.name, **states.get(one.name, {"sort": DeviceClass.SERIAL, "number": "188:0"}))
        for one in wanted(node).devices
    )
    held = HeldDevices(revision=node.devices_revision, devices=there)
    observe_node(factories.node_report(node.name, seen_devices=(PORT,), host_devices=held))
    node.refresh_from_db()


def allow(node: Node, name: str = "modem", **values: Any) -> HostDevice:
    values = values or {"path": "/dev/ttyUSB0"}
    row = devices.add_device(factories.administrator(), node.pk, name=name, **values)
    says_it_holds(node)
    return row


def give(actor: Any, row: Environment, *names: str) -> Environment:
    environments.update_environment(actor, row.pk, {"host_devices": [{"name": name} for name in names]})
    return Environment.objects.select_related("tenant", "node").get(pk=row.pk)


def test_a_node_is_told_until_it_holds_them(
    node: Node, told: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        devices.add_device(factories.administrator(), node.pk, name="modem", udev=["ID_SERIAL=Acme_1"])
    [document] = told
    assert document["revision"] == 1
    assert [(one["name"], one["udev"]) for one in document["devices"]] == [("modem", ["ID_SERIAL=Acme_1"])]
    with django_capture_on_commit_callbacks(execute=True):
        factories.node("one")
    assert len(told) == 2, "it says that it holds none"
    with django_capture_on_commit_callbacks(execute=True):
        says_it_holds(node)
    assert len(told) == 2
    shown = devices.show(HostDevice.objects.select_related("node").get())
    assert (shown["held"], shown["sort"], shown["number"]) == (True, "serial", "188:0")


def test_a_database_that_is_older_than_the_node_goes_on_from_there(
    told: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    held = HeldDevices(revision=9, devices=(DeviceState(name="lost"),))
    with django_capture_on_commit_callbacks(execute=True):
        factories.node("one", host_devices=held)
    assert told == [{"revision": 10, "devices": []}]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "disk", "path": "/dev/sda"}, "sees no device /dev/sda that may be given"),
        ({"name": "memory", "path": "/dev/mem"}, "sees no device /dev/mem"),
        ({"name": "x", "path": "/etc/passwd"}, "path"),
        ({"name": "x"}, "give one of the two"),
        ({"name": "x", "path": "/dev/ttyUSB0", "udev": ["ID_SERIAL=1"]}, "give one of the two"),
        ({"name": "x", "udev": ["serial"]}, "udev"),
        ({"name": "X", "path": "/dev/ttyUSB0"}, "name"),
        ({"name": "x", "path": "/dev/ttyUSB0", "inside": "/dev/null"}, "something else"),
        ({"name": "web", "path": "/dev/ttyUSB0"}, "already"),
        ({"name": "x", "path": "/dev/ttyUSB0", "inside": "/dev/web"}, "is shown as"),
    ],
)
def test_what_can_not_be_allowed(node: Node, values: dict[str, Any], said: str) -> None:
    allow(node, "web")
    with pytest.raises((Invalid, Conflict), match=said):
        devices.add_device(factories.administrator(), node.pk, **values)
    assert HostDevice.objects.count() == 1


def test_a_link_of_udevs_may_lead_to_what_is_not_plugged_in(node: Node) -> None:
    allow(node, path="/dev/serial/by-id/usb-Acme_1-if00-port0")


def test_an_environment_has_it_and_gives_it_up(node: Node) -> None:
    root, tenant = factories.administrator(), factories.tenant()
    allow(node)
    row = give(root, factories.environment(tenant), "modem")
    assert spec_of(row).host_devices == (GivenDevice(name="modem"),)
    with pytest.raises(Conflict, match="have it: 1"):
        devices.delete_device(root, HostDevice.objects.get().pk)
    row = give(root, row)
    assert spec_of(row).host_devices == ()
    devices.delete_device(root, HostDevice.objects.get().pk)
    actions = set(AuditRecord.objects.values_list("action", flat=True))
    assert {"host-device.allow", "host-device.forbid", "environment.update"} <= actions


def test_without_a_plan_an_administrator_gives_it(node: Node) -> None:
    tenant = factories.tenant()
    allow(node)
    row, owner = factories.environment(tenant), factories.member(tenant)
    with pytest.raises(Invalid, match="from an administrator"):
        give(owner, row, "modem")
    assert of_environments.offered(owner, row) == [], "what he can't have he doesn't see"
    give(factories.administrator(), row, "modem")
    row.refresh_from_db()
    [shown] = of_environments.offered(owner, row)
    assert (shown["name"], shown["access"], shown["inside"]) == ("modem", "read-write", "/dev/modem")
    row = give(owner, row)
    assert row.wanted.host_devices == (), "giving it up is his"


def test_with_a_plan_that_has_it_its_owner_takes_it(node: Node) -> None:
    tenant, root = factories.tenant(), factories.administrator()
    allow(node)
    allow(node, "camera", udev=["ID_SERIAL=Acme_2"])
    with pytest.raises(Invalid, match="No node has the host_device printer"):
        create_plan(root, name="wrong", limits=factories.LIMITS, choices={"host_devices": ["printer"]})
    plan = create_plan(root, name="wired", limits=factories.LIMITS, choices={"host_devices": ["modem"]})
    owner = factories.member(tenant)
    row = factories.environment(tenant, owner, plan=plan.slug)
    assert [one["name"] for one in of_environments.offered(owner, row)] == ["modem"]
    assert give(owner, row, "modem").wanted.host_device_names == ("modem",)
    with pytest.raises(Invalid, match="doesn't allow the device camera"):
        give(owner, row, "camera")


def test_one_at_a_time_unless_it_is_shared(node: Node) -> None:
    root, tenant = factories.administrator(), factories.tenant()
    listed = allow(node)
    one, other = factories.environment(tenant), factories.environment(tenant)
    give(root, one, "modem")
    with pytest.raises(Conflict, match="Another environment has the device modem"):
        give(root, other, "modem")
    with pytest.raises(Conflict, match="Another environment has"):
        factories.environment(tenant, root, host_devices=[{"name": "modem"}])
    devices.change_device(root, listed.pk, {"shared": True})
    says_it_holds(node)
    give(root, other, "modem")
    with pytest.raises(Conflict, match="have it: 2"):
        devices.change_device(root, listed.pk, {"shared": False})


def test_what_its_node_refuses_or_has_not_heard_of_is_given_to_nobody(node: Node) -> None:
    root, row = factories.administrator(), factories.environment(factories.tenant())
    with pytest.raises(Conflict, match="no device named modem"):
        give(root, row, "modem")
    devices.add_device(root, node.pk, name="modem", udev=["ID_SERIAL=Acme_1"])
    with pytest.raises(Conflict, match="hasn't heard of it yet"):
        give(root, row, "modem")
    says_it_holds(node, modem={"refused": True, "why_not": words.a_disk()})
    with pytest.raises(Conflict, match="it is a disk"):
        give(root, row, "modem")
    says_it_holds(node, modem={"why_not": words.not_there()})
    give(root, row, "modem")  # it comes when it is plugged in


def test_on_another_kernel_there_are_none(node: Node) -> None:
    root, tenant = factories.administrator(), factories.tenant()
    allow(node)
    row = factories.environment(tenant)
    Environment.objects.filter(pk=row.pk).update(kernel=Kernel.OWN)
    with pytest.raises(Conflict, match="on the host's kernel only"):
        give(root, row, "modem")


@pytest.mark.parametrize(
    "given", [[{"name": "modem"}, {"name": "modem"}], [{"name": "modem", "access": "all"}]]
)
def test_what_can_not_be_asked_for(node: Node, given: list[dict[str, str]]) -> None:
    row = factories.environment(factories.tenant())
    allow(node)
    with pytest.raises(Refused):
        environments.update_environment(factories.administrator(), row.pk, {"host_devices": given})
    row.refresh_from_db()
    assert row.wanted.host_devices == ()


def test_by_the_api_and_to_nobody_else(client: Client, node: Node) -> None:
    root = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    json = "application/json"
    seen = root.get(f"/api/v1/nodes/{node.pk}/devices")
    described.check("nodes_devices", seen.json())
    assert [one["path"] for one in seen.json()["items"]] == ["/dev/ttyUSB0"]
    body = {"node": str(node.pk), "name": "modem", "udev": ["ID_SERIAL=Acme_1"], "inside": "/dev/ttyUSB0"}
    made = root.post("/api/v1/devices", body, content_type=json)
    assert made.status_code == 201, made.content
    described.check("devices_create", made.json())
    one = f"/api/v1/devices/{made.json()['id']}"
    changed = root.patch(one, {"path": "/dev/ttyUSB0", "shared": True}, content_type=json)
    assert (changed.json()["path"], changed.json()["udev"]) == ("/dev/ttyUSB0", [])
    says_it_holds(node)
    tenant = factories.tenant()
    row = factories.environment(tenant)
    given = root.put(
        f"/api/v1/environments/{row.pk}/devices",
        {"devices": [{"name": "modem", "access": "read"}]},
        content_type=json,
    )
    assert given.status_code == 202, given.content
    assert given.json()["host_devices"] == [{"name": "modem", "access": "read"}]
    shown = root.get(f"/api/v1/environments/{row.pk}/devices")
    described.check("environments_devices_list", shown.json())
    assert shown.json()["items"][0]["access"] == "read"
    assert root.delete(one).status_code == 409
    hidden = {"devices": [{"name": "modem", "access": "hidden"}]}
    assert root.put(f"/api/v1/environments/{row.pk}/devices", hidden, content_type=json).status_code == 202
    assert root.delete(one).status_code == 204
    with pytest.raises(NotFound):
        devices.rows_of(factories.member(tenant))
    with pytest.raises(Forbidden):
        devices.add_device(factories.member(tenant), node.pk, name="x", path="/dev/ttyUSB0")


def test_the_pages_allow_one_and_give_it(client: Client, node: Node) -> None:
    root = factories.administrator()
    client.force_login(root.user, _BACKEND)
    form = {"node": str(node.pk), "name": "modem", "path": "/dev/sda", "udev": "", "inside": ""}
    refused = client.post("/devices/", form)
    assert refused.status_code == 422 and "sees no device /dev/sda" in refused.content.decode()
    client.post("/devices/", {**form, "path": "", "udev": "ID_SERIAL=Acme_1\n"})
    assert "the node is being told" in client.get("/devices/").content.decode()
    says_it_holds(node)
    text = client.get("/devices/").content.decode()
    assert "188:0" in text and "/dev/ttyUSB0" in text
    row = factories.environment(factories.tenant())
    settings = f"/environments/{row.pk}/settings"
    assert 'name="device-modem"' in client.get(settings).content.decode()
    client.post(f"{settings}/host-devices", {"device-modem": "read"})
    row.refresh_from_db()
    assert [one.access for one in row.wanted.host_devices] == ["read"]
    client.post(f"{settings}/host-devices", {"device-modem": "hidden"})
    row.refresh_from_db()
    assert row.wanted.host_devices == ()
    client.post(f"/devices/{HostDevice.objects.get().pk}/remove")
    assert not HostDevice.objects.exists()
