"""What the command palette finds, and for whom: nothing that its reader couldn't open."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from panel.access.models import Share
from panel.accounts.models import User
from panel.environments.models import Environment
from panel.networks.forwards import add_forward
from panel.networks.models import Address
from panel.operations.models import Operation
from panel.tenants.models import Membership, Tenant
from tests.panel.support import factories
from tests.panel.support.pages import signed_in

pytestmark = pytest.mark.django_db


def found(user: User, text: str) -> list[dict[str, Any]]:
    answer = signed_in(user).get("/ui/palette", {"q": text})
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def labels(user: User, text: str) -> list[str]:
    return [item["label"] for item in found(user, text)]


class Side:
    """A tenant with everything that can be found, all of it marked by one word."""

    def __init__(self, word: str) -> None:
        self.tenant: Tenant = factories.tenant()
        Tenant.objects.filter(pk=self.tenant.pk).update(name=f"{word} tenant")
        self.tenant.refresh_from_db()
        self.owner = factories.member(self.tenant).user
        colleague = factories.person(username=f"{word}-colleague")
        Membership.objects.create(tenant=self.tenant, user=colleague, role="viewer")
        self.viewer = colleague
        self.row: Environment = factories.environment(self.tenant, name=f"{word}-web", ipv4=1)
        self.address = Address.objects.get(environment=self.row, family=4).address
        self.forward = add_forward(factories.administrator(), self.row.pk, port=443, description=f"{word} shop")
        self.operation = Operation.objects.filter(environment=self.row).earliest("created_at")


@pytest.fixture
def sides() -> tuple[Side, Side]:
    factories.node("node-of-the-provider")
    return Side("own"), Side("foreign")


def test_each_kind_of_thing_is_found_by_what_people_know_of_it(sides: tuple[Side, Side]) -> None:
    own, _ = sides
    url = f"/environments/{own.row.pk}/"
    for text, label, leads_to in (
        ("OWN-w", "own-web", url),
        (str(own.row.pk), "own-web", url),
        (own.address, f"{own.address} · own-web", f"{url}network"),
        ("own shop", "own-web · ", f"{url}network"),
        (str(own.operation.pk), "create own-web", f"/operations/{own.operation.pk}/"),
        ("create own", "create own-web", f"/operations/{own.operation.pk}/"),
        ("own-coll", "own-colleague", f"/tenants/{own.tenant.pk}/people/"),
        ("own tenant", "own tenant", f"/tenants/{own.tenant.pk}/"),
        ("busyb", "BusyBox", "/images/"),
        ("refere", "API reference", "/api/"),
    ):
        items = [one for one in found(own.owner, text) if label.casefold() in one["label"].casefold()]
        assert [one["url"] for one in items if one["url"] == leads_to], (text, items)


def test_a_forward_is_found_by_its_port(sides: tuple[Side, Side]) -> None:
    own, _ = sides
    node_port = str(own.row.forwards.get().node_port)
    assert [one["url"] for one in found(own.owner, node_port)] == [f"/environments/{own.row.pk}/network"]


def test_nothing_of_another_tenant_is_found_by_anything(sides: tuple[Side, Side]) -> None:
    own, foreign = sides
    texts = (
        "foreign", "foreign-web", "stop foreign", "console foreign", "create", "443", "10.", "fd", "shop",
        "tenant", "colleague", foreign.address, str(foreign.row.pk), str(foreign.operation.pk),
        str(foreign.tenant.pk), foreign.tenant.slug, foreign.viewer.email,
        str(foreign.row.forwards.get().node_port), "node-of", "",
    )  # fmt: skip
    for text in texts:
        for item in found(own.owner, text):
            said = f"{item['label']} {item['hint']} {item['url']}"
            for word in ("foreign", str(foreign.row.pk), str(foreign.tenant.pk), str(foreign.operation.pk)):
                assert word not in said, (text, item)
            assert "node-of-the-provider" not in said, (text, item)


def test_an_administrator_finds_both_sides_and_the_nodes(sides: tuple[Side, Side]) -> None:
    root = factories.administrator().user
    assert {"own-web", "foreign-web"} <= set(labels(root, "-web"))
    assert "node-of-the-provider" in labels(root, "node-of")
    assert "Capacity" in labels(root, "capac")


def test_people_and_actions_are_offered_by_right(sides: tuple[Side, Side]) -> None:
    own, _ = sides
    assert "Stop own-web" in labels(own.owner, "stop own")
    assert not [one for one in found(own.viewer, "stop own") if "post" in one]
    assert "Console own-web" in labels(own.owner, "console own")
    assert not [one for one in found(own.viewer, "console own") if one["url"].endswith("console")]
    assert "own-colleague" not in labels(own.viewer, "own-coll"), "a viewer doesn't read the members"
    assert "Create an environment" not in labels(own.viewer, "create an")
    assert "Audit" not in labels(own.viewer, "audit")
    assert "Nodes" not in labels(own.owner, "nodes")


def test_what_is_shared_is_found_alone(sides: tuple[Side, Side]) -> None:
    own, foreign = sides
    Share.objects.create(
        tenant=foreign.tenant,
        environment=foreign.row,
        user=own.owner,
        permissions=["environment.view"],
        expires_at=timezone.now() + timedelta(days=1),
    )
    seen = labels(own.owner, "foreign")
    assert "foreign-web" in seen
    assert not {"foreign tenant", "foreign-colleague", "create foreign-web"} & set(seen)


def test_a_readers_own_words_do_the_same(sides: tuple[Side, Side]) -> None:
    own, _ = sides
    client = signed_in(own.owner)
    items = client.get("/ui/palette", {"q": "hentikan own"}, headers={"Accept-Language": "id"}).json()["items"]
    assert [one["post"] for one in items if "post" in one] == [{"action": "stop"}], items


def test_a_stranger_is_led_to_the_sign_in(client: Client) -> None:
    assert client.get("/ui/palette", {"q": "web"}).status_code == 302
