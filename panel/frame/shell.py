"""What the frame around every page shows: the tenants one may switch to, and what one may open."""

from functools import cached_property
from typing import Any

from django.http import HttpRequest

from panel.access.models import SupportAccess
from panel.frame.outages import outages
from panel.operations.models import OPEN_STATES, Operation
from panel.rights.actor import Actor
from panel.rights.asking import actor_of
from panel.rights.permissions import Permission
from panel.tenants.chosen import chosen_tenant, shown_tenant
from panel.tenants.models import Tenant, TenantState

#: Tenants in the switcher; more are found by the tenants' page.
_MOST_TENANTS = 30


class Shell:
    """Queries only for what the template really shows."""

    def __init__(self, request: HttpRequest, actor: Actor) -> None:
        self.request, self.actor = request, actor

    @cached_property
    def chosen(self) -> Tenant | None:
        """Of whose things lists show those alone; None: all."""
        return chosen_tenant(self.request, self.actor)

    @cached_property
    def tenant(self) -> Tenant | None:
        """As the switcher names it: whose the thing is that the page shows, else the chosen one."""
        return shown_tenant(self.request) or self.chosen

    @property
    def scope(self) -> Tenant | None:
        """Of whose things the menu's lists show those alone: as the switcher says, but who looks at all of them
        goes on so."""
        return self.tenant if self.chosen is not None else None

    @cached_property
    def tenants(self) -> list[Tenant]:
        return list(Tenant.objects.for_actor(self.actor)[:_MOST_TENANTS])

    @cached_property
    def only_tenant(self) -> Tenant | None:
        """Of somebody who is in one alone: its pages stand in the menu, in place of a list with one row."""
        return self.tenants[0] if len(self.tenants) == 1 and not self.is_administrator else None

    @cached_property
    def reads_members(self) -> bool:
        return self.only_tenant is not None and self.actor.can(Permission.MEMBER_VIEW, self.only_tenant)

    @cached_property
    def suspended(self) -> Tenant | None:
        """The tenant that is looked at, or the only one, when it is suspended: every page says so."""
        only = self.tenants[0] if len(self.tenants) == 1 else None
        found = self.tenant or only
        return found if found is not None and found.state == TenantState.SUSPENDED else None

    @cached_property
    def running(self) -> list[Operation]:
        rows = Operation.objects.for_actor(self.actor).filter(state__in=OPEN_STATES)
        return list(rows.order_by("-created_at")[:20])

    @cached_property
    def outages(self) -> list[str]:
        return outages(self.actor)

    @property
    def support(self) -> SupportAccess | None:
        """The tenant's view that he is in as an administrator."""
        return self.actor.support

    @cached_property
    def supports(self) -> list[SupportAccess]:
        """Administrators who are in the view of one's tenants now."""
        if self.is_administrator:
            return []
        return list(SupportAccess.objects.for_actor(self.actor).running().select_related("tenant", "user")[:3])

    @property
    def is_administrator(self) -> bool:
        return self.actor.is_platform_administrator

    @cached_property
    def reads_audit(self) -> bool:
        return self.is_administrator or any(Permission.AUDIT_VIEW in g.permissions for g in self.actor.grants)

    @cached_property
    def may_create(self) -> bool:
        """An environment in the tenant that is looked at, or in any where all are; in no suspended one."""
        needed, tenant = Permission.ENVIRONMENT_CREATE, self.tenant
        if tenant is not None:
            return tenant.state != TenantState.SUSPENDED and self.actor.can(needed, tenant)
        rows = Tenant.objects.for_actor(self.actor, needed)
        return self.is_administrator or rows.exclude(state=TenantState.SUSPENDED).exists()


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    actor = actor_of(request) if hasattr(request, "session") else None
    if actor is None or actor.token is not None:
        return {}
    return {"shell": Shell(request, actor)}
