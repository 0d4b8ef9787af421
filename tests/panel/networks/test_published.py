"""Ports published with a new app: forwards that stand from its first moment, all of them or none."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from panel.audit.models import AuditRecord
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Invalid, Refused
from panel.networks.models import Address, PortForward
from panel.networks.published import published
from panel.quotas.models import Quota, Resource
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from runtime.contract import AppSeen, Kind
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
IMAGE = "registry.example.com/a/b:1"


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP), forward_ports=(20_000, 20_009))
    return factories.tenant(quota={"forwards": 5})


def app(tenant: Tenant, ports: Any, actor: Any = None, **fields: Any) -> Environment:
    values = {"kind": "app", "image": IMAGE, "is_running": False, "app": {"ports": ports}, **fields}
    return factories.environment(tenant, actor, **values)


def used(tenant: Tenant) -> int:
    row = Quota.objects.filter(tenant=tenant, resource=Resource.FORWARDS).first()
    return row.reserved if row else 0


def test_they_are_there_from_the_beginning(tenant: Tenant) -> None:
    row = app(tenant, ["20003:80", 53, "20003:53/udp", {"port": 443, "description": "front"}])
    made = {(one.protocol, one.port): one for one in row.forwards.all()}
    assert set(made) == {("tcp", 80), ("tcp", 53), ("udp", 53), ("tcp", 443)}
    assert made["tcp", 80].node_port == made["udp", 53].node_port == 20_003
    assert made["tcp", 443].description == "front"
    assert {one.node_port for one in spec_of(row).network.forwards} <= set(range(20_000, 20_010))
    assert "ports" not in row.intent["app"]
    assert used(tenant) == 4
    audited = AuditRecord.objects.get(action="environment.create").after
    assert "tcp 20003 → 80" in audited["forwards"]


def test_the_first_message_to_the_node_has_them(
    tenant: Tenant, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        "panel.environments.services.create.dispatch.apply_on_commit", lambda spec, **_: sent.append(spec)
    )
    body = {"name": "a", "kind": "app", "image": IMAGE, "tenant": str(tenant.pk), "limits": factories.LIMITS}
    answer = client.post(
        "/api/v1/environments",
        json.dumps({**body, "app": {"ports": ["20001:80"]}}),
        content_type="application/json",
        headers=factories.bearer(factories.administrator(), None, "*"),
    )
    assert answer.status_code == 202, answer.content
    assert [(one["node_port"], one["port"]) for one in answer.json()["forwards"]] == [(20_001, 80)]
    assert [(one.node_port, one.port) for one in sent[0].network.forwards] == [(20_001, 80)]


@pytest.mark.parametrize(
    "ports",
    [
        "80",
        {"80": 80},
        [0],
        [65_536],
        [True],
        [80.5],
        [None],
        [""],
        ["80/sctp"],
        ["8080-8090:80-90"],
        ["127.0.0.1:20001:80"],
        ["20001:80:80"],
        ["-1:80"],
        ["20001:80/tcp;id"],
        ["２0001:80"],
        [{"port": 80, "host_ip": "127.0.0.1"}],
        [{"node_port": 20_001}],
        [{"port": "80"}],
        ["8080:80"],
        ["22:22"],
        ["20001:80", "20001:81"],
        [80] * 6,
        [80] * 65,
        ["20001:80", "19999:80"],
        [["80"]],
    ],
)
def test_what_is_no_port_is_refused_whole(tenant: Tenant, ports: Any) -> None:
    with pytest.raises(Refused) as refused:
        app(tenant, ports)
    assert refused.value.field.startswith("app.ports") or refused.value.code == "quota_exceeded"
    assert "Traceback" not in refused.value.message
    assert not Environment.objects.exists()
    assert not PortForward.objects.exists()
    assert not Address.objects.exists()
    assert used(tenant) == 0


def test_one_that_is_taken_takes_the_others_with_it(tenant: Tenant) -> None:
    app(tenant, ["20001:80"])
    with pytest.raises(Conflict, match="20001/tcp of the node is taken") as refused:
        app(tenant, ["20002:80", "20001:81"])
    assert (refused.value.code, refused.value.field) == ("port_taken", "app.ports")
    assert (Environment.objects.count(), PortForward.objects.count(), used(tenant)) == (1, 1, 1)


def test_it_needs_an_address_and_the_permission(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid, match="no address"):
        app(tenant, [80], ipv4=0, ipv6=0)
    owner = factories.member(tenant)
    may = owner.can
    monkeypatch.setattr(owner, "can", lambda one, at=None: one != Permission.FORWARD_CHANGE and may(one, at))
    with pytest.raises(Forbidden, match="forward"):
        app(tenant, [80], owner)
    assert not Environment.objects.exists()


def test_afterwards_they_are_its_forwards(tenant: Tenant) -> None:
    row = app(tenant, [80])
    with pytest.raises(Invalid, match="forwards") as refused:
        environments.update_environment(factories.administrator(), row.pk, {"app": {"ports": [81]}})
    assert refused.value.field == "app.ports"
    with pytest.raises(Invalid):
        factories.environment(tenant, app={"ports": [80]})


def test_the_form_publishes_and_offers_what_the_image_exposes(tenant: Tenant) -> None:
    seen = AppSeen(image=IMAGE, digest="sha256:" + "ab" * 32, ports=("80/tcp", "53/udp", '"><script>/tcp'))
    row = app(tenant, ["20001:80"])
    factories.reported(row, app=seen)
    client = Client()
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get("/environments/create?kind=app").content.decode()
    assert "80/tcp" in page
    assert "<script>/tcp" not in page
    card = client.get(reverse("environment", args=[row.pk])).content.decode()
    assert "Publish 53/udp" in card
    assert "Publish 80/tcp" not in card
    assert "Make it reachable by SSH" not in card
    values = {"name": "form", "kind": "app", "kernel": "shared", "image": IMAGE, "is_started": "on"}
    size = {"plan": "", "cpu": "1", "memory_mb": "128", "disk_mb": "256", "processes": "64"}
    sent = {**values, **size, "tenant": tenant.slug, "app.ports": "20002:80, 53/udp"}
    answer = client.post("/environments/create", sent)
    assert answer.status_code == 302, answer.content.decode()
    made = Environment.objects.get(name="form")
    assert {(one.protocol, one.port) for one in made.forwards.all()} == {("tcp", 80), ("udp", 53)}
    refused = client.post("/environments/create", {**sent, "name": "other", "app.ports": "20002:80"})
    assert refused.status_code == 409
    assert "taken already" in refused.content.decode()


def test_words_are_read_as_docker_reads_them() -> None:
    read = [(one.node_port, one.port, one.protocol) for one in published(["80", " 1:2/udp ", 3])]
    assert read == [(None, 80, "tcp"), (1, 2, "udp"), (None, 3, "tcp")]
