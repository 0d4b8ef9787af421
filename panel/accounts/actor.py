"""Who asks: a person, perhaps by a token, from an address. The one place that decides what he may."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from django.db.models import Q

from panel.accounts.models import Token, User
from panel.errors import Forbidden
from panel.tenants.models import Membership, Tenant
from panel.tenants.permissions import EVERYTHING, FROM_ABOVE, PLATFORM, ROLES, Permission, RoleName


@dataclass(frozen=True)
class Grant:
    """Permissions in a tenant and all below it."""

    tenant_id: UUID
    path: str
    permissions: frozenset[str]


@dataclass(eq=False)
class Actor:
    """Made anew for each request, so that a revoked right is gone with the next one."""

    user: User
    token: Token | None = None
    address: str = ""
    _scopes: dict[str, Q | None] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.user.username

    @cached_property
    def is_platform_administrator(self) -> bool:
        """Sees and may do everything; a token only when it has no tenant and no list of permissions."""
        if not self.user.is_superuser:
            return False
        return self.token is None or (self.token.tenant_id is None and EVERYTHING in self.token.permissions)

    @cached_property
    def grants(self) -> list[Grant]:
        """One query."""
        rows = Membership.objects.filter(user=self.user).select_related("tenant", "custom_role")
        return [Grant(row.tenant_id, row.tenant.path, permissions_of(row)) for row in rows]

    def _token_allows(self, permission: str, path: str | None) -> bool:
        """Whether the token's own list and tenant leave room for it; True without a token."""
        if self.token is None:
            return True
        if permission not in self.token.permissions and EVERYTHING not in self.token.permissions:
            return False
        if self.token.tenant is None:
            return True
        return path is not None and path.startswith(self.token.tenant.path)

    def can(self, permission: Permission, tenant: Tenant | None = None) -> bool:
        """`tenant` None asks about the whole installation."""
        path = tenant.path if tenant is not None else None
        if not self._token_allows(permission, path):
            return False
        if self.user.is_superuser:
            return True
        if path is None or permission in PLATFORM:
            return False
        return any(
            permission in grant.permissions
            and path.startswith(grant.path)
            and (permission not in FROM_ABOVE or path != grant.path)
            for grant in self.grants
        )

    def require(self, permission: Permission, tenant: Tenant | None = None) -> None:
        """Raises `Forbidden` when the actor may not."""
        if not self.can(permission, tenant):
            raise Forbidden(permission)

    def scope(self, permission: Permission) -> Q | None:
        """Condition on Tenant for "may do this there"; None when it holds everywhere."""
        if permission not in self._scopes:
            self._scopes[permission] = self._scope(permission)
        return self._scopes[permission]

    def _scope(self, permission: Permission) -> Q | None:
        nowhere = Q(pk__in=[])
        if self.token is not None and not self._token_allows(permission, self._token_path()):
            return nowhere
        inside = Q(path__startswith=self._token_path()) if self._token_path() else None
        if self.user.is_superuser:
            return inside
        allowed = nowhere
        for grant in self.grants:
            if permission in grant.permissions and permission not in PLATFORM:
                allowed |= Q(path__startswith=grant.path)
        return allowed if inside is None else allowed & inside

    def _token_path(self) -> str:
        return self.token.tenant.path if self.token is not None and self.token.tenant is not None else ""


def permissions_of(membership: Membership) -> frozenset[str]:
    if membership.role == RoleName.CUSTOM:
        own = membership.custom_role.permissions if membership.custom_role is not None else []
        return frozenset(own) - PLATFORM
    return frozenset(ROLES[membership.role])
