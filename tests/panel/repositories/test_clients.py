"""The clients that people have, as they are, against the registry of an installation."""

import json
from pathlib import Path

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.registries import own
from panel.registries.selectors import access_of
from panel.repositories import gate
from panel.repositories.services import forget_strangers
from panel.repositories.store import LEAST_BYTES, Store
from panel.tenants.models import Tenant
from tests.panel.repositories.conftest import Own
from tests.panel.support import factories

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 2**20


def _token(of: Tenant, role: str) -> str:
    headers = factories.bearer(factories.member(of, "owner"), of, role=role)
    return headers["Authorization"].removeprefix("Bearer ")


def test_pushed_pulled_listed_used_and_taken_out(own_registry: Own, tmp_path: Path, client: Client) -> None:
    """One story, since what runs for it takes a second to start."""
    tenant, other = factories.tenant(), factories.tenant()
    operator, viewer, stranger = _token(tenant, "operator"), _token(tenant, "viewer"), _token(other, "operator")
    image, name = own_registry.named("one", 300_000, 200_000), f"{tenant.slug}/team/web"
    _rights(own_registry, image, name, tmp_path, operator, viewer, stranger)
    _node(own_registry, tenant, other, name, tmp_path)
    again = own_registry.named("two", 100_000)
    assert own_registry.push(again, f"{name}:1", operator).returncode == 0
    assert own_registry.push(again, f"{name}:same", operator).returncode == 0
    headers = {"Authorization": f"Bearer {operator}"}
    (found,) = client.get("/api/v1/repositories", headers=headers).json()["items"]
    assert (found["name"], found["tags"]) == (name, 2)
    tags = client.get(f"/api/v1/repositories/tags?name={name}", headers=headers).json()["items"]
    assert [len(one["before"]) for one in tags] == [1, 0]
    assert tags[0]["bytes"] > 100_000
    used = client.get("/api/v1/repositories/space", headers=headers).json()["items"][0]["used_bytes"]
    assert 600_000 < used < 700_000 + 20 * LEAST_BYTES
    seen = client.get("/api/v1/repositories", headers={"Authorization": f"Bearer {stranger}"}).json()
    assert seen["items"] == []
    _taken_out(own_registry, tenant, client, name, tags[0]["digest"], operator, viewer)


def _rights(
    registry: Own, image: str, name: str, place: Path, operator: str, viewer: str, stranger: str
) -> None:
    for password in ("", "wrong", "wdh_00000000000000000000000000000000_00", viewer, stranger):
        assert registry.push(image, f"{name}:1", password or "x").returncode != 0, password
    assert registry.push(image, f"{name}:1", operator).returncode == 0
    for password, may in ((viewer, True), (operator, True), (stranger, False), ("wrong", False)):
        to = place / f"pulled-{password[:12]}-{may}"
        done = registry.pull(f"{name}:1", to, f"--src-creds=x:{password}")
        assert (done.returncode == 0) is may, done.stderr
    assert registry.pull(f"{name}:1", place / "anonymous", "--src-no-creds").returncode != 0
    # a blob that somebody else has can't be had by its digest
    digest = json.loads((place / f"pulled-{viewer[:12]}-True" / "manifest.json").read_text())["layers"][0]
    slug = name.partition("/")[0]
    assert digest
    assert registry.push(image, "no-such-tenant/web:1", operator).returncode != 0
    assert registry.push(image, f"{slug}:1", operator).returncode != 0


def _node(registry: Own, tenant: Tenant, other: Tenant, name: str, place: Path) -> None:
    """A node has a pass for this repository, for tenants that may have it."""
    access = access_of(tenant, f"{registry.host}/{name}:1")
    assert (access.username, access.insecure, access.inward) == (own.NODE, True, True)
    password = access.password
    creds = f"--src-creds={own.NODE}:{password}"
    assert registry.pull(f"{name}:1", place / "node", creds).returncode == 0
    assert registry.pull(f"{tenant.slug}/elsewhere:1", place / "else", creds).returncode != 0
    assert registry.push(f"dir:{place / 'node'}", f"{name}:2", password).returncode != 0
    assert access_of(other, f"{registry.host}/{name}:1").username == ""
    assert access_of(tenant, f"{registry.host}/{name}:1") == access


def _taken_out(
    registry: Own, tenant: Tenant, client: Client, name: str, digest: str, operator: str, viewer: str
) -> None:
    headers = {"Authorization": f"Bearer {operator}"}
    factories.node()
    row = factories.environment(tenant)
    Environment.objects.filter(pk=row.pk).update(kind="app", image=f"{registry.host}/{name}:1")
    at = f"/api/v1/repositories/tags?name={name}"
    tags = client.get(at, headers=headers).json()["items"]
    assert [one["used_by"] for one in tags] == [[str(row.pk)], []]
    refused = client.delete(f"{at}&tag=1", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    Environment.objects.filter(pk=row.pk).update(kind="system", image="busybox")
    assert client.delete(f"{at}&tag=1", headers={"Authorization": f"Bearer {viewer}"}).status_code == 403
    assert client.delete(f"{at}&tag=1", headers=headers).json() == {"digest": digest, "tags": ["1", "same"]}
    assert client.get(at, headers=headers).status_code == 404
    store = Store(registry.home / "registry")
    assert (store.root / "collect").exists()
    before = store.used_bytes(tenant.slug)
    gate.collect_garbage(registry.home)
    assert store.used_bytes(tenant.slug) < before / 10


def test_full_and_inherited(own_registry: Own, tmp_path: Path) -> None:
    """A full tenant is refused with a sentence, and nobody else is; a name that comes to another tenant brings
    nothing along."""
    tenant, other = factories.tenant(), factories.tenant()
    store = Store(own_registry.home / "registry")
    large = own_registry.named("large", 3 * MIB, 3 * MIB, 3 * MIB)
    done = own_registry.push(large, f"{tenant.slug}/large:1", _token(tenant, "operator"))
    assert done.returncode != 0
    assert "8 MiB in the registry, and they are used up" in done.stderr
    assert store.used_bytes(tenant.slug) <= 8 * MIB
    small, slug = own_registry.named("small", 100_000), other.slug
    assert own_registry.push(small, f"{slug}/small:1", _token(other, "operator")).returncode == 0
    Tenant.objects.filter(pk=other.pk).update(slug="renamed")
    Tenant.objects.filter(pk=tenant.pk).update(slug=slug)
    tenant.refresh_from_db()
    creds = f"--src-creds=x:{_token(tenant, 'viewer')}"
    assert own_registry.pull(f"{slug}/small:1", tmp_path / "heir", creds).returncode != 0
    assert store.repositories(slug) == []
    Tenant.objects.filter(pk=tenant.pk).update(slug="renamed-too")
    assert forget_strangers() == 2
