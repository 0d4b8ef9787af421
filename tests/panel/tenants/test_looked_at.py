"""The tenant that is looked at: what the switcher and the banner name, and where something new is offered."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from panel.access.models import Share
from panel.domains.services import add_domain
from panel.environments.models import Environment
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.tenancy.lifecycle import suspend_tenant
from panel.tenants.models import Membership, Role, Tenant
from panel.volumes.services import create_volume
from tests.panel.support import factories
from tests.panel.support.pages import signed_in

pytestmark = pytest.mark.django_db
BANNER = "The invoice of May is open."


@pytest.fixture
def chosen() -> Tenant:
    factories.node()
    return factories.tenant()


@pytest.fixture
def other(chosen: Tenant) -> Tenant:
    return factories.tenant()


@pytest.fixture
def person(chosen: Tenant, other: Tenant) -> Actor:
    """Sees the chosen one, owns the other."""
    found = factories.member(chosen, "viewer")
    Membership.objects.create(tenant=other, user=found.user, role="owner")
    return found


@pytest.fixture
def client(person: Actor, chosen: Tenant) -> Client:
    found = signed_in(person.user)
    assert switcher(found, f"/environments/?tenant={chosen.slug}") == chosen.name
    return found


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return unescape(answer.content.decode())


def switcher(client: Client, path: str) -> str:
    found = re.search(r'<summary aria-label="Tenant: ([^"]*)"', text_of(client, path))
    assert found, path
    return found[1]


def things(of: Tenant) -> Iterator[str]:
    """Pages of one thing each."""
    root = factories.administrator()
    row = factories.environment(of, ipv4=1)
    for tab in ("", "activity", "settings", "network", "isolation", "console", "volumes", "domains", "backups"):
        yield f"/environments/{row.pk}/{tab}"
    yield f"/operations/{Operation.objects.filter(environment=row).latest('created_at').pk}/"
    volume, _operation = create_volume(root, of, name="data", size_mb=64)
    yield f"/volumes/{volume.pk}/"
    yield f"/volumes/{volume.pk}/backups/schedule"
    yield f"/domains/{add_domain(root, of, name='www.example.com', targets=[(row, 80)]).pk}/"
    yield f"/tenants/{of.pk}/"
    yield f"/tenants/{of.pk}/people/"
    yield f"/tenants/{of.pk}/roles/create"
    yield f"/roles/{Role.objects.create(tenant=of, name='Watch', permissions=[]).pk}/"


def test_the_switcher_names_whose_the_shown_thing_is_and_what_was_chosen_stays(
    client: Client, chosen: Tenant, other: Tenant
) -> None:
    for path in things(other):
        assert switcher(client, path) == other.name, path
        assert f'?tenant={other.slug}"' in text_of(client, path), path
    assert switcher(client, "/operations/") == chosen.name


def test_who_looks_at_all_goes_on_so_from_one_thing(client: Client, other: Tenant) -> None:
    client.get("/environments/?tenant=")
    row = factories.environment(other)
    assert switcher(client, f"/environments/{row.pk}/") == other.name
    assert 'href="/operations/"' in text_of(client, f"/environments/{row.pk}/")
    assert switcher(client, "/operations/") == "All tenants"


def test_a_shared_one_doesnt_name_a_tenant_that_its_guest_doesnt_see(chosen: Tenant, other: Tenant) -> None:
    row, guest = factories.environment(other), factories.member(chosen, "viewer")
    Share.objects.create(
        tenant=other,
        environment=row,
        user=guest.user,
        permissions=["environment.view"],
        expires_at=timezone.now() + timedelta(1),
    )
    assert switcher(signed_in(guest.user), f"/environments/{row.pk}/") == "All tenants"


def test_the_banner_is_that_of_the_shown_thing(client: Client, chosen: Tenant, other: Tenant) -> None:
    mine, theirs = factories.environment(chosen), factories.environment(other)
    suspend_tenant(factories.administrator(), other.pk, reason=BANNER)
    assert BANNER not in text_of(client, f"/environments/{mine.pk}/")
    assert BANNER in text_of(client, f"/environments/{theirs.pk}/")
    assert BANNER not in text_of(client, "/environments/")


def offers(client: Client, tenant: Tenant | None) -> set[str]:
    """By what an environment is offered to be made."""
    page = text_of(client, f"/environments/?tenant={tenant.slug if tenant else ''}")
    found = {name for name, mark in (("button", "data-create"), ("key", "<kbd>c</kbd>")) if mark in page}
    if "New jail" in text_of(client, "/jails/"):
        found.add("jail")
    items = client.get("/ui/palette", {"q": "create an env"}).json()["items"]
    return found | {"palette" for one in items if one["label"] == "Create an environment"}


ALL = {"button", "key", "jail", "palette"}


def test_creating_is_offered_by_the_right_in_the_tenant_that_is_looked_at(
    client: Client, chosen: Tenant, other: Tenant
) -> None:
    assert offers(client, chosen) == set()
    assert offers(client, other) == ALL
    assert offers(client, None) == ALL


def test_creating_is_not_offered_in_a_suspended_tenant(client: Client, other: Tenant) -> None:
    suspend_tenant(factories.administrator(), other.pk, reason=BANNER)
    assert offers(client, other) == set()
    assert offers(client, None) == set()
    assert offers(signed_in(factories.administrator().user), other) == set()
    assert not Environment.objects.exists()
