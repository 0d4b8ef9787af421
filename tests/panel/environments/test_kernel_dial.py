"""Which kernel an environment has: chosen where its node has it, turned while it is stopped, refused with the
reason."""

from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from panel.environments.models import Environment
from panel.nodes.models import Node
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, Device, Kernel, Kind, ObservedState
from runtime.contract.node import Cell
from runtime.contract.said import NOTHING
from runtime.contract.words import kernels, refusals
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

WHY_NO_APP, WHY_NO_GUARDED = kernels.boots_systems(), refusals.kernel_not_offered("guarded")


def cell(kind: Kind, kernel: Kernel) -> Cell:
    """Of a node with systems on two kernels, and apps on one."""
    why = NOTHING
    if kernel is Kernel.GUARDED:
        why = WHY_NO_GUARDED
    elif kernel is Kernel.OWN and kind is not Kind.SYSTEM:
        why = WHY_NO_APP
    is_own = kernel is Kernel.OWN
    return Cell(
        kind=kind,
        kernel=kernel,
        why_not=why,
        least_memory_mb=192 if is_own else 0,
        start_ms=1300 if is_own else None,
    )


@pytest.fixture
def tenant() -> Tenant:
    factories.node(
        kinds=(Kind.SYSTEM, Kind.APP),
        kernels=(Kernel.SHARED, Kernel.OWN),
        matrix=tuple(cell(kind, kernel) for kind in Kind for kernel in Kernel),
        devices=tuple(Device),
    )
    return factories.tenant()


@pytest.fixture
def bearer(tenant: Tenant) -> dict[str, str]:
    return factories.bearer(factories.member(tenant), tenant, role="owner")


def create(client: Client, bearer: dict[str, str], **body: Any) -> Any:
    body = {"name": "web", "image": "busybox", **body}
    return client.post("/api/v1/environments", body, content_type="application/json", headers=bearer)


def turn(client: Client, bearer: dict[str, str], kernel: str) -> Any:
    row = Environment.objects.get()
    path = f"/api/v1/environments/{row.pk}"
    return client.patch(path, {"kernel": kernel}, content_type="application/json", headers=bearer)


def stopped() -> Environment:
    row = Environment.objects.get()
    row.desired_state, row.observed_state = DesiredState.STOPPED, ObservedState.STOPPED
    row.save()
    return row


def test_it_is_made_on_the_kernel_that_was_chosen(client: Client, bearer: dict[str, str]) -> None:
    assert create(client, bearer, kernel="own").status_code == 202
    assert Environment.objects.get().kernel == Kernel.OWN


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"kernel": "guarded"}, str(WHY_NO_GUARDED)),
        ({"kernel": "own", "kind": "app", "image": "nginx:1.27"}, str(WHY_NO_APP)),
        ({"kernel": "own", "limits": {"memory_mb": 128}}, "192 MiB"),
    ],
)
def test_what_no_node_has_is_refused_with_the_reason(
    client: Client, bearer: dict[str, str], body: dict[str, Any], why: str
) -> None:
    answer = create(client, bearer, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "kernel_unavailable"), answer.content
    assert why in answer.json()["detail"]
    assert not Environment.objects.exists()


def test_the_dial_turns_while_it_is_stopped(client: Client, bearer: dict[str, str]) -> None:
    create(client, bearer)
    answer = turn(client, bearer, "own")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_stopped")
    stopped()
    assert turn(client, bearer, "own").status_code == 202
    row = Environment.objects.get()
    assert (row.kernel, row.generation) == (Kernel.OWN, 2)
    assert turn(client, bearer, "shared").status_code == 202
    assert Environment.objects.get().kernel == Kernel.SHARED


@pytest.mark.parametrize(("kernel", "status"), [("guarded", 409), ("nonsense", 422)])
def test_a_dial_that_its_node_has_not_stays(
    client: Client, bearer: dict[str, str], kernel: str, status: int
) -> None:
    create(client, bearer)
    stopped()
    assert turn(client, bearer, kernel).status_code == status
    row = Environment.objects.get()
    assert (row.kernel, row.generation) == (Kernel.SHARED, 1)


def test_what_an_own_kernel_can_not_be_given_is_said(client: Client, bearer: dict[str, str]) -> None:
    create(client, bearer)
    row = stopped()
    row.intent = {**row.intent, "devices": ["/dev/fuse"]}
    row.save()
    answer = turn(client, bearer, "own")
    assert answer.status_code == 409
    assert "devices" in answer.json()["detail"]
    row.intent = {**row.intent, "devices": [], "limits": {**row.intent["limits"], "memory_mb": 64}}
    row.save()
    assert "192 MiB" in turn(client, bearer, "own").json()["detail"]


def test_an_administrator_reads_the_table_of_a_node(client: Client, tenant: Tenant) -> None:
    admin = factories.bearer(factories.administrator(), None, "*")
    node = client.get("/api/v1/nodes", headers=admin).json()["items"][0]
    assert "matrix" not in node["facts"]
    items = client.get(f"/api/v1/nodes/{node['id']}/matrix", headers=admin).json()["items"]
    table = {(one["kind"], one["kernel"]): one for one in items}
    assert len(table) == len(Kind) * len(Kernel)
    assert table["system", "own"] == {
        "kind": "system",
        "kernel": "own",
        "offered": True,
        "why_not": "",
        "least_memory_mb": 192,
        "start_ms": 1300,
    }
    assert table["app", "own"]["why_not"] == str(WHY_NO_APP)
    assert not table["app", "own"]["offered"]


def test_the_create_page_offers_what_there_is_and_says_why_not(client: Client, tenant: Tenant) -> None:
    owner = factories.member(tenant)
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get("/environments/create").content.decode()
    assert 'value="own"' in page
    assert 'value="guarded"' not in page
    assert "starts in 1300 ms here" in page
    assert str(WHY_NO_GUARDED) in page
    assert 'value="own"' not in client.get("/environments/create?kind=app").content.decode()


def test_the_settings_page_turns_the_dial_of_a_stopped_one(
    client: Client, tenant: Tenant, bearer: dict[str, str]
) -> None:
    create(client, bearer)
    row = Environment.objects.get()
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    place, form = f"/environments/{row.pk}/settings", f"/environments/{row.pk}/settings/kernel"
    page = client.get(place).content.decode()
    assert "stop it first" in page
    assert client.post(form, {"kernel": "own"}).status_code == 409
    stopped()
    page = client.get(place).content.decode()
    assert "Starts in 1300 ms on this node" in page
    assert escape(str(WHY_NO_GUARDED)) in page
    for refused, status in (("guarded", 409), ("nonsense", 422)):
        assert client.post(form, {"kernel": refused}).status_code == status
    assert client.post(form, {"kernel": "own"}).status_code == 302
    assert Environment.objects.get().kernel == Kernel.OWN
    assert client.post(form, {"kernel": "own"}).status_code == 302
    assert Environment.objects.get().generation == 2


@pytest.mark.parametrize("kernel", ["own", "guarded"])
def test_a_device_of_the_node_is_refused_with_another_kernel_from_the_start(
    client: Client, tenant: Tenant, kernel: str
) -> None:
    node = Node.objects.get()
    for one in node.facts["matrix"]:
        one["why_not"] = ""
    node.save()
    admin = factories.bearer(factories.administrator(), None, "*")
    answer = create(client, admin, tenant=str(tenant.pk), kernel=kernel, devices=["/dev/fuse"])
    assert (answer.status_code, answer.json()["code"]) == (422, "kernel_unavailable"), answer.content
    assert "evices" in answer.json()["detail"]


@pytest.fixture
def guarded(tenant: Tenant) -> Tenant:
    """Whose node has all on gVisor that gVisor has."""
    factories.node(
        Node.objects.get().name,
        kinds=(Kind.SYSTEM, Kind.JAIL),
        kernels=(Kernel.SHARED, Kernel.GUARDED),
        images=("busybox", "debian-12"),
    )
    return tenant


def test_systemd_on_gvisor_is_refused_before_anything_is_made(
    client: Client, bearer: dict[str, str], guarded: Tenant
) -> None:
    """Where the panel knows the init of the image."""
    why = "can't run systemd"
    for body in ({}, {"kind": "jail"}):
        refused = create(client, bearer, image="debian-12", kernel="guarded", **body)
        assert (refused.status_code, refused.json()["field"]) == (422, "kernel"), body
        assert why in refused.json()["detail"]
    assert not Environment.objects.exists()
    of_a_command = create(
        client, bearer, image="debian-12", kernel="guarded", kind="jail", jail={"command": ["/bin/true"]}
    )
    assert of_a_command.status_code == 202, of_a_command.content
    Environment.objects.all().delete()

    assert create(client, bearer, image="debian-12").status_code == 202
    row = stopped()
    refused = turn(client, bearer, "guarded")
    assert refused.status_code == 409 and why in refused.json()["detail"]
    client.force_login(factories.member(guarded).user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/environments/{row.pk}/settings").content.decode()
    assert escape(why) in page


def test_a_reinstall_with_systemd_on_gvisor_is_refused(
    client: Client, bearer: dict[str, str], guarded: Tenant
) -> None:
    assert create(client, bearer, kernel="guarded").status_code == 202
    row = stopped()
    path = f"/api/v1/environments/{row.pk}/reinstall"
    refused = client.post(path, {"image": "debian-12"}, content_type="application/json", headers=bearer)
    assert refused.status_code in (409, 422), refused.content
    assert "can't run systemd" in refused.json()["detail"]
    row.refresh_from_db()
    assert row.image == "busybox"
