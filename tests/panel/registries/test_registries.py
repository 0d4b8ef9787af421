"""Registries: who names one, what is kept of a password, and by which name an image is asked for."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client

from panel import at_rest
from panel.audit.models import AuditRecord
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.registries.models import Registry
from panel.registries.selectors import access_of
from panel.registries.services import add_registry, found, remove_registry
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
IMAGE = "registry.example.com:5000/a/b:1"


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


def test_a_password_is_kept_encrypted_and_told_nobody(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    headers = factories.bearer(owner, tenant, role="owner")
    body = {
        "host": "Registry.example.com:5000",
        "tenant": str(tenant.pk),
        "username": "robot",
        "password": "open-sesame",
    }
    answer = Client().post("/api/v1/registries", body, content_type="application/json", headers=headers)
    assert answer.status_code == 201, answer.content
    assert answer.json()["host"] == "registry.example.com:5000"
    assert answer.json()["has_password"] is True
    assert b"open-sesame" not in answer.content
    assert b"open-sesame" not in Client().get("/api/v1/registries", headers=headers).content
    row = Registry.objects.get()
    assert "open-sesame" not in row.password
    assert "open-sesame" not in str(list(AuditRecord.objects.values_list("after", flat=True)))
    access = access_of(tenant, IMAGE)
    assert (access.username, access.password) == ("robot", "open-sesame")
    assert (access.insecure, access.inward) == (False, False)
    assert access_of(tenant, "other.example.com/a").username == ""
    gone = Client().delete(f"/api/v1/registries/{row.pk}", headers=headers)
    assert gone.status_code == 204
    assert access_of(tenant, IMAGE).username == ""


@pytest.mark.parametrize("option", [{"insecure": True}, {"inward": True}])
def test_a_way_inward_or_without_tls_is_an_administrators(tenant: Tenant, option: dict[str, Any]) -> None:
    owner = factories.member(tenant)
    with pytest.raises(Forbidden):
        add_registry(owner, tenant, host="registry.example.com", **option)
    with pytest.raises((Forbidden, NotFound)):
        add_registry(owner, None, host="registry.example.com")
    assert not Registry.objects.exists()
    row = add_registry(factories.administrator(), tenant, host="registry.example.com", **option)
    with pytest.raises(Forbidden):
        remove_registry(owner, row.pk)


def test_what_the_provider_allowed_holds_for_the_tenants_own_name(tenant: Tenant) -> None:
    add_registry(
        factories.administrator(),
        None,
        host="registry.example.com:5000",
        username="all",
        inward=True,
        insecure=True,
    )
    access = access_of(tenant, IMAGE)
    assert (access.username, access.inward, access.insecure) == ("all", True, True)
    add_registry(factories.member(tenant), tenant, host="registry.example.com:5000", username="own")
    access = access_of(tenant, IMAGE)
    assert (access.username, access.inward) == ("own", True)


def test_nobody_sees_anothers(tenant: Tenant) -> None:
    row = add_registry(factories.member(tenant), tenant, host="registry.example.com", password="x")
    stranger = factories.member(factories.tenant())
    with pytest.raises(NotFound):
        found(stranger, row.pk)
    with pytest.raises(NotFound):
        remove_registry(stranger, row.pk)
    with pytest.raises((NotFound, Forbidden)):
        add_registry(stranger, tenant, host="registry.example.com")
    assert access_of(factories.tenant(), "registry.example.com/a").password == ""


@pytest.mark.parametrize("host", ["", "http://a.b", "a b", "a/b", "-x.y", "a.b:port", "x" * 300, "$(id)"])
def test_what_is_no_host(tenant: Tenant, host: str) -> None:
    with pytest.raises(Invalid):
        add_registry(factories.member(tenant), tenant, host=host)


def test_twice_is_refused(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    add_registry(owner, tenant, host="registry.example.com")
    with pytest.raises(Conflict):
        add_registry(owner, tenant, host="Registry.example.com")


def test_passwords_are_brought_over_to_new_keys(tenant: Tenant, settings: Any) -> None:
    row = add_registry(factories.member(tenant), tenant, host="registry.example.com", password="open-sesame")
    keys = [Fernet.generate_key().decode(), *settings.SECRETS.field_keys]
    assert at_rest.encrypt_anew(Registry.objects.all(), "password", keys) == 1
    row.refresh_from_db()
    assert Fernet(keys[0]).decrypt(row.password) == b"open-sesame"
    assert at_rest.plain("gAAAA-nonsense") == ""
