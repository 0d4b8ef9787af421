"""Rights that people have by their memberships."""

from collections.abc import Iterator

from panel.rights.actor import Actor, Grant
from panel.rights.permissions import PLATFORM, ROLES, RoleName
from panel.tenants.models import Membership


def memberships_of(actor: Actor) -> Iterator[Grant]:
    """One query."""
    rows = Membership.objects.filter(user=actor.user).select_related("tenant", "custom_role")
    for row in rows:
        yield Grant(row.tenant.path, permissions_of(row))


def permissions_of(membership: Membership) -> frozenset[str]:
    if membership.role == RoleName.CUSTOM:
        own = membership.custom_role.permissions if membership.custom_role is not None else []
        return frozenset(own) - PLATFORM
    return frozenset(ROLES[membership.role])
