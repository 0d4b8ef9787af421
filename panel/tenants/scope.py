"""The one place where rows are cut down to what an actor may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models import Q

from panel.errors import NotFound
from panel.tenants.permissions import Permission

if TYPE_CHECKING:
    from uuid import UUID

    from panel.accounts.actor import Actor

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


class Scoped(models.QuerySet[ModelT]):
    """A queryset of rows that belong to a tenant. Subclasses say by which relation, and what seeing takes."""

    tenant_relation: ClassVar[str] = "tenant"
    view_permission: ClassVar[Permission] = Permission.ENVIRONMENT_VIEW

    def for_actor(self, actor: Actor, permission: Permission | None = None) -> Self:
        """Rows that the actor may see (or do `permission` to)."""
        condition = actor.scope(permission or self.view_permission)
        if condition is None:
            return self.all()
        prefix = f"{self.tenant_relation}__" if self.tenant_relation else ""
        return self.filter(prefixed(condition, prefix))

    def get_for(self, actor: Actor, pk: UUID | str, **more: Any) -> ModelT:
        """The row, or `NotFound`: a stranger can't tell a missing row from somebody else's."""
        try:
            return self.for_actor(actor).get(pk=pk, **more)
        except (ObjectDoesNotExist, ValueError) as error:
            raise NotFound(f"This {self.model._meta.verbose_name}") from error
