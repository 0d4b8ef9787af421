"""The page of registries: what each reader sees and may, and a password that comes back to nobody."""

import pytest
from django.test import Client
from django.urls import reverse

from panel.registries.models import Registry
from panel.registries.selectors import access_of
from panel.registries.services import add_registry
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
HIDDEN = "hunter6-word"


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


def browser(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def page(client: Client) -> str:
    return client.get(reverse("registries")).content.decode()


def test_a_tenants_own_is_named_used_and_taken_out(tenant: Tenant) -> None:
    client = browser(factories.member(tenant))
    assert "No registry is named" in page(client)
    assert "insecure" not in page(client)
    values = {"host": "Registry.example.com:5000", "tenant": str(tenant.pk), "username": "robot"}
    assert client.post(reverse("registries"), {**values, "password": HIDDEN}).status_code == 302
    row = Registry.objects.get()
    assert (row.host, row.tenant, row.insecure) == ("registry.example.com:5000", tenant, False)
    assert access_of(tenant, "registry.example.com:5000/a").password == HIDDEN
    shown = page(client)
    assert "registry.example.com:5000" in shown
    assert HIDDEN not in shown
    again = client.post(reverse("registries"), {**values, "password": HIDDEN})
    assert again.status_code == 409
    assert "is named already" in again.content.decode()
    assert HIDDEN not in again.content.decode()
    assert client.post(reverse("registry-remove", args=[row.pk])).status_code == 302
    assert not Registry.objects.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"host": ""},
        {"host": "a b"},
        {"host": "https://x.org/"},
        {"host": "x.org/path"},
        {"host": "x.org", "username": "a:b"},
        {"host": "x.org", "username": "a\nb"},
        {"host": "x.org", "tenant": ""},
        {"host": "x.org", "tenant": "00000000-0000-0000-0000-000000000000"},
        {"host": "x" * 271},
    ],
)
def test_what_is_none_is_refused_with_a_sentence(tenant: Tenant, values: dict[str, str]) -> None:
    client = browser(factories.member(tenant))
    answer = client.post(reverse("registries"), {"tenant": str(tenant.pk), "password": HIDDEN, **values})
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode() or "notice bad" in answer.content.decode()
    assert HIDDEN not in answer.content.decode()
    assert not Registry.objects.exists()


def test_what_an_administrator_allows_a_tenant_only_sees(tenant: Tenant) -> None:
    administrator = browser(factories.administrator())
    values = {"host": "10.0.0.5:5000", "tenant": str(tenant.pk), "insecure": "on", "inward": "on"}
    assert administrator.post(reverse("registries"), values).status_code == 302
    everybody = {"host": "all.example.com", "tenant": ""}
    assert administrator.post(reverse("registries"), everybody).status_code == 302
    assert set(Registry.objects.values_list("host", "tenant")) == {
        ("10.0.0.5:5000", tenant.pk),
        ("all.example.com", None),
    }
    owner = browser(factories.member(tenant))
    shown = page(owner)
    assert "without TLS" in shown
    assert "all.example.com" not in shown
    row = Registry.objects.get(host="10.0.0.5:5000")
    assert reverse("registry-remove", args=[row.pk]) not in shown
    assert owner.post(reverse("registry-remove", args=[row.pk])).status_code == 403
    forged = {"host": "b.example.com", "tenant": str(tenant.pk), "insecure": "on"}
    assert owner.post(reverse("registries"), forged).status_code == 302
    assert Registry.objects.get(host="b.example.com").insecure is False


def test_a_viewer_and_a_stranger_change_nothing(tenant: Tenant) -> None:
    row = add_registry(factories.administrator(), tenant, host="x.org")
    viewer = browser(factories.member(tenant, "viewer"))
    assert 'id="add"' not in page(viewer)
    forged = {"host": "y.org", "tenant": str(tenant.pk)}
    assert viewer.post(reverse("registries"), forged).status_code == 422
    stranger = browser(factories.member(factories.tenant()))
    assert "x.org" not in page(stranger)
    assert stranger.post(reverse("registry-remove", args=[row.pk])).status_code == 404
    assert Registry.objects.get() == row
