"""A page refreshes its parts by themselves, and takes no message from the page that comes next."""

import pytest

from panel.accounts.models import User
from panel.people.roles import create_role
from panel.tenants.models import Membership
from tests.panel.support import factories
from tests.panel.support.pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("tab", ["", "settings", "network", "activity", "console"])
def test_the_head_of_an_environment_comes_alone(tab: str) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    client = signed_in(factories.member(tenant).user)
    part = client.get(f"/environments/{row.pk}/{tab}", headers={"HX-Target": "ve-head"}).content.decode()
    assert 'id="ve-head"' in part
    assert "<html" not in part
    assert "<nav" not in part


@pytest.mark.parametrize("target", ["ve-head", "nothing-of-this-name"])
def test_a_refresh_between_a_form_and_its_page_leaves_the_message(target: str) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    client = signed_in(factories.member(tenant).user)
    url = f"/environments/{row.pk}/settings"
    client.post(f"{url}/resize", {"memory_mb": "96"})
    assert "New size asked for" not in client.get(url, headers={"HX-Target": target}).content.decode()
    assert "New size asked for" in client.get(url).content.decode()
    assert "New size asked for" not in client.get(url).content.decode()


def test_numbers_stand_in_their_fields_as_one_types_them() -> None:
    factories.node()
    tenant = factories.tenant(quota={"cpu": 16.0})
    row = factories.environment(tenant, limits={**factories.LIMITS, "cpu": 2.0})
    page = signed_in(factories.administrator().user)
    settings = page.get(f"/environments/{row.pk}/settings").content.decode()
    assert 'name="cpu" value="2"' in settings
    assert 'name="stop_timeout_s" value="30"' in settings
    assert 'name="cpu" value="16"' in page.get(f"/tenants/{tenant.pk}/").content.decode()
    narrow = factories.environment(tenant).pk
    assert 'name="cpu" value="0.5"' in page.get(f"/environments/{narrow}/settings").content.decode()


def test_who_is_in_one_tenant_alone_has_its_pages_in_the_menu() -> None:
    factories.node()
    tenant, other = factories.tenant(), factories.tenant()

    def menu(user: User, path: str = "/environments/") -> str:
        return signed_in(user).get(path).content.decode().partition("</nav>")[0]

    owner = factories.member(tenant).user
    quota, people = f'href="/tenants/{tenant.pk}/"', f'href="/tenants/{tenant.pk}/people/"'
    assert quota in menu(owner)
    assert people in menu(owner)
    assert 'href="/tenants/"' not in menu(owner)
    role = create_role(
        factories.administrator(), tenant, name="watch", permissions=["tenant.view", "environment.view"]
    )
    watcher = factories.person()
    Membership.objects.create(tenant=tenant, user=watcher, role="custom", custom_role=role)
    assert quota in menu(watcher)
    assert people not in menu(watcher), "who may not see them"
    assert f'{quota} aria-current="page"' in menu(owner, f"/tenants/{tenant.pk}/")
    assert f'{people} aria-current="page"' in menu(owner, f"/tenants/{tenant.pk}/people/")
    Membership.objects.create(tenant=other, user=owner, role="viewer")
    assert 'href="/tenants/"' in menu(owner)
    assert quota not in menu(owner)
    administrator = factories.administrator().user
    assert 'href="/tenants/" aria-current="page"' in menu(administrator, f"/tenants/{tenant.pk}/people/")
    assert 'href="/environments/" aria-current="page"' in menu(administrator)
