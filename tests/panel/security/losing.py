"""Ways in which a person, or a token, loses a right while something goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from panel.accounts.models import Token, User
from panel.environments.models import Environment
from panel.tenants.models import Membership, Tenant, TenantState

Way = Callable[[User, Environment], Any]

WAYS: dict[str, Way] = {
    "removed": lambda user, _: Membership.objects.filter(user=user).delete(),
    "a viewer now": lambda user, _: Membership.objects.filter(user=user).update(role="viewer"),
    "shut out": lambda user, _: User.objects.filter(pk=user.pk).update(is_active=False),
    "gone": lambda user, _: User.objects.filter(pk=user.pk).delete(),
}
OF_TOKENS: dict[str, Way] = {
    **WAYS,
    "revoked": lambda user, _: Token.objects.update(revoked_at=timezone.now()),
    "expired": lambda user, _: Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
    "narrowed": lambda user, _: Token.objects.update(permissions=["environment.view"]),
    "for other environments": lambda user, row: Token.objects.update(environments=[str(row.tenant_id)]),
    "from elsewhere": lambda user, _: Token.objects.update(networks=["192.0.2.0/24"]),
    "another secret": lambda user, _: Token.objects.update(digest="0" * 64),
    "suspended": lambda _, row: Tenant.objects.filter(pk=row.tenant_id).update(state=TenantState.SUSPENDED),
}
