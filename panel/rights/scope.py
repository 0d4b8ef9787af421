"""The one place where rows are cut down to what an actor may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from panel.errors import NotFound
from panel.rights.permissions import Permission

ModelT = TypeVar("ModelT", bound=models.Model)


def prefixed(condition: Q, prefix: str) -> Q:
    """The same condition, seen through a relation: `path__startswith` becomes `tenant__path__startswith`."""
    seen = Q(_connector=condition.connector, _negated=condition.negated)
    for child in condition.children:
        if isinstance(child, Q):
            seen.children.append(prefixed(child, prefix))
        elif isinstance(child, tuple):
            seen.children.append((f"{prefix}{child[0]}", child[1]))
    return seen


#: So many tenants are named by id, which lets the database use the indexes of their rows; more by their path.
_MOST_NAMED = 100


def inside(condition: Q, relation: str) -> Q:
    """Rows of the tenants that the condition holds for, by a foreign key or a field of their ids; one query."""
    tenants = apps.get_model("tenants", "Tenant")._default_manager
    ids = list(tenants.filter(condition).order_by().values_list("pk", flat=True)[: _MOST_NAMED + 1])
    if len(ids) > _MOST_NAMED:
        return Q(**{f"{relation}__in": tenants.filter(condition).order_by().values("pk")})
    return Q(**{f"{relation}__in": ids})


@dataclass(frozen=True)
class Reach:
    """Where an actor may do one thing."""

    tenants: Q | None
    """Condition on Tenant; None: in every one."""
    shared: frozenset[UUID] = frozenset()
    """Single environments of other tenants."""
    only: frozenset[UUID] | None = None
    """The environments that his token is for; None: it is for all."""

    def on_tenants(self) -> Q | None:
        """For rows of whole tenants; None when it holds for all of them."""
        return Q(pk__in=[]) if self.only is not None else self.tenants

    def on(self, tenant: str, environment: str) -> Q | None:
        """For rows that name their tenant and environment by these lookups (the latter may be empty)."""
        condition = self.on_tenants() if not environment else self.tenants
        if condition is not None:
            condition = inside(condition, tenant or "pk")
        if not environment:
            return condition
        if condition is not None and self.shared:
            condition |= Q(**{f"{environment}__in": self.shared})
        if self.only is None:
            return condition
        named = Q(**{f"{environment}__in": self.only})
        return named if condition is None else condition & named


class Asks(Protocol):
    """Who asks, as far as rows are concerned: a `panel.rights.actor.Actor`."""

    def scope(self, permission: Permission) -> Reach: ...


class Scoped(models.QuerySet[ModelT]):
    """A queryset of rows that belong to a tenant. Subclasses say by which relations, and what seeing takes."""

    tenant_relation: ClassVar[str] = "tenant"
    environment_relation: ClassVar[str] = ""
    """Of rows that belong to one environment; such rows are seen by those whom it is shared with."""
    view_permission: ClassVar[Permission] = Permission.ENVIRONMENT_VIEW

    def for_actor(self, actor: Asks, permission: Permission | None = None) -> Self:
        """Rows that the actor may see (or do `permission` to)."""
        reach = actor.scope(permission or self.view_permission)
        condition = reach.on(self.tenant_relation, self.environment_relation)
        return self.all() if condition is None else self.filter(condition)

    def get_for(self, actor: Asks, pk: UUID | str, **more: Any) -> ModelT:
        """The row, or `NotFound`: a stranger can't tell a missing row from somebody else's."""
        try:
            return self.for_actor(actor).get(pk=pk, **more)
        except (ObjectDoesNotExist, ValidationError, ValueError) as error:
            raise NotFound(
                _("This %(verbose_name)s") % {"verbose_name": self.model._meta.verbose_name}
            ) from error
