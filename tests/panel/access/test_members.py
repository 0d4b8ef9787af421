"""Members and roles: nobody gives or takes what he lacks, one owner stays, nobody overwrites unread changes."""

import pytest
from django.test import Client

from panel.errors import Conflict, Forbidden, Invalid, Stale
from panel.people.members import remove_member, set_member
from panel.people.roles import create_role, delete_role, update_role
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Membership, Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant()


def test_an_administrator_makes_no_owner(tenant: Tenant) -> None:
    administrator = factories.member(tenant, "administrator")
    with pytest.raises(Forbidden, match=r"tenant\.create"):
        set_member(administrator, tenant, factories.person(), role="owner")
    with pytest.raises(Forbidden):
        set_member(administrator, tenant, administrator.user, role="owner")


def test_an_administrator_touches_no_owner(tenant: Tenant) -> None:
    factories.member(tenant)
    owner = factories.member(tenant)
    administrator = factories.member(tenant, "administrator")
    with pytest.raises(Forbidden):
        set_member(administrator, tenant, owner.user, role="viewer")
    with pytest.raises(Forbidden):
        remove_member(administrator, tenant, owner.user.pk)


def test_the_last_owner_stays(tenant: Tenant) -> None:
    """R06: removed twice, one is left."""
    one, other = factories.member(tenant), factories.member(tenant)
    remove_member(one, tenant, other.user.pk)
    with pytest.raises(Conflict, match="at least one owner"):
        remove_member(one, tenant, one.user.pk)
    with pytest.raises(Conflict, match="at least one owner"):
        set_member(one, tenant, one.user, role="viewer")
    assert Membership.objects.filter(tenant=tenant, role="owner").count() == 1


def test_a_change_of_what_was_changed_since_is_stale(tenant: Tenant) -> None:
    """R06: 412 for the second of two who read the same version."""
    owner = factories.member(tenant)
    member = factories.member(tenant, "viewer")
    set_member(owner, tenant, member.user, role="operator", version=1)
    with pytest.raises(Stale):
        set_member(owner, tenant, member.user, role="billing", version=1)
    assert Membership.objects.get(tenant=tenant, user=member.user).role == "operator"
    client = Client(headers=factories.bearer(owner, tenant, role="administrator"))
    role = create_role(owner, tenant, name="readers", permissions=["environment.view"])
    url = f"/api/v1/tenants/{tenant.pk}/roles/{role.pk}"

    def rename(name: str, version: str) -> int:
        return client.patch(
            url, {"name": name}, content_type="application/json", headers={"If-Match": version}
        ).status_code

    assert rename("one", '"1"') == 200
    assert rename("two", '"1"') == 412
    assert rename("three", "soon") == 422


def test_a_role_holds_what_it_names_at_once(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    role = create_role(owner, tenant, name="switchers", permissions=["environment.view", "environment.power"])
    user = factories.person()
    set_member(owner, tenant, user, role="custom", custom=role)
    assert Actor(user).can(Permission.ENVIRONMENT_POWER, tenant)
    assert not Actor(user).can(Permission.ENVIRONMENT_CONSOLE, tenant)
    update_role(owner, role.pk, permissions=["environment.view"])
    assert not Actor(user).can(Permission.ENVIRONMENT_POWER, tenant)
    with pytest.raises(Conflict, match="1 people have this role"):
        delete_role(owner, role.pk)
    set_member(owner, tenant, user, role="viewer")
    delete_role(owner, role.pk)


@pytest.mark.parametrize("permission", ["node.manage", "image.manage", "nothing", "*"])
def test_a_role_holds_no_permission_of_the_installation(permission: str, tenant: Tenant) -> None:
    with pytest.raises(Invalid, match="not a permission that can be given"):
        create_role(factories.member(tenant), tenant, name="more", permissions=[permission])


def test_a_role_holds_nothing_that_its_maker_lacks(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    clerk = create_role(owner, tenant, name="clerks", permissions=["member.view", "member.manage"])
    user = factories.person()
    set_member(owner, tenant, user, role="custom", custom=clerk)
    with pytest.raises(Forbidden, match=r"environment\.console"):
        create_role(Actor(user), tenant, name="rooted", permissions=["environment.console"])
    with pytest.raises(Forbidden):
        update_role(Actor(user), clerk.pk, permissions=["environment.console", "member.manage"])


def test_another_tenants_role_can_t_be_given(tenant: Tenant) -> None:
    elsewhere = factories.tenant()
    role = create_role(factories.member(elsewhere), elsewhere, name="theirs", permissions=["tenant.view"])
    with pytest.raises(Invalid, match="another tenant"):
        set_member(factories.member(tenant), tenant, factories.person(), role="custom", custom=role)
