"""What all giving of rights has in common: it names permissions that exist, and none that the giver lacks."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _

from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.rights.permissions import GRANTABLE, OF_ONE_ENVIRONMENT, Permission


def check_permissions(permissions: Sequence[str], known: frozenset[Permission] = GRANTABLE) -> list[str]:
    """Sorted and each once. `Invalid` for one that can't be given."""
    unknown = [p for p in permissions if p not in known]
    if unknown:
        raise Invalid(
            _("%(unknown)s is not a permission that can be given; known are %(known)s.")
            % {"unknown": unknown[0][:64], "known": ", ".join(sorted(known))},
            field="permissions",
        )
    return sorted(set(permissions))


def check_shared(permissions: Sequence[str]) -> list[str]:
    """For one environment; looking at it and at what happens to it is always part of it."""
    wanted = {*permissions, Permission.ENVIRONMENT_VIEW, Permission.OPERATION_VIEW}
    return check_permissions([str(p) for p in wanted], OF_ONE_ENVIRONMENT)


def require_all(actor: Actor, permissions: Iterable[str], on: Any) -> None:
    """Nobody hands out or takes away more than he has."""
    for permission in sorted(permissions):
        actor.require_to_give(Permission(permission), on)


def has_all(actor: Actor, permissions: Iterable[str], on: Any) -> bool:
    return all(actor.can_give(Permission(permission), on) for permission in permissions)
