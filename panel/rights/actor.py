"""Who asks: a person, perhaps by a token, from an address. The one place that decides what he may."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NoReturn
from uuid import UUID

from django.db import models
from django.db.models import Q

from panel.errors import Forbidden
from panel.rights.permissions import EVERYTHING, FROM_ABOVE, PLATFORM, SUPPORT, Permission
from panel.rights.place import Place
from panel.rights.scope import Reach
from panel.rights.who import SupportAccess, Token, User


@dataclass(frozen=True)
class Need:
    """A right that something took; `is_given`: to hand it on."""

    permission: Permission
    place: Place | None
    is_given: bool = False


@dataclass(frozen=True)
class Grant:
    """Permissions in a tenant and all below it, or (a share) on one environment."""

    path: str
    permissions: frozenset[str]
    environment_id: UUID | None = None

    def allows(self, permission: Permission, place: Place) -> bool:
        if permission not in self.permissions:
            return False
        if self.environment_id is not None:
            return place.environment_id == self.environment_id
        return reaches(permission, self.path, place.path)


#: What gives somebody rights; asked once for each actor, and when it first matters.
Source = Callable[["Actor"], Iterable[Grant]]
_TENANTS: list[Source] = []
_ENVIRONMENTS: list[Source] = []


def gives_in_tenants(source: Source) -> None:
    """For an app's `ready()`: rights in a tenant and all below it come from there too."""
    _TENANTS.append(source)


def gives_on_environments(source: Source) -> None:
    """For an app's `ready()`: rights on single environments come from there too."""
    _ENVIRONMENTS.append(source)


def reaches(permission: str, root: str, path: str) -> bool:
    """Whether a right that somebody has at `root` holds at `path`; what is decided from above: only below."""
    return path.startswith(root) and (permission not in FROM_ABOVE or path != root)


@dataclass(eq=False)
class Actor:
    """Made anew for each request, so that a revoked right is gone with the next one."""

    user: User
    token: Token | None = None
    address: str = ""
    support: SupportAccess | None = None
    """An administrator who has entered this tenant's view: he has its rights, and none of his own."""
    is_admitted: bool = False
    """The API has looked whether it is open to him (`panel.access.door`)."""
    used: dict[Need, None] = field(default_factory=dict, repr=False)
    """The rights that what he asked for took, in their order."""
    _reaches: dict[str, Reach] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.user.username

    @property
    def _is_root(self) -> bool:
        return self.user.is_superuser and self.support is None

    @cached_property
    def is_platform_administrator(self) -> bool:
        """Sees and may do everything; a token only when it has no tenant and no list of permissions."""
        return self._is_root and self.speaks_for_its_person

    @property
    def speaks_for_its_person(self) -> bool:
        """A session does, and a token that is bound to nothing. What concerns the person himself needs it: his
        keys, his sign-ins, his other tokens, his leaving."""
        if self.token is None:
            return True
        is_narrow = self.token.tenant_id is not None or self.token.environments
        return not is_narrow and EVERYTHING in self.token.permissions

    @cached_property
    def grants(self) -> list[Grant]:
        """By membership, or by support access. One query."""
        if self.support is not None:
            return [Grant(self.support.tenant.path, SUPPORT)]
        return [grant for given in _TENANTS for grant in given(self)]

    @cached_property
    def shares(self) -> list[Grant]:
        """Single environments, as long as they last. One query."""
        if self.support is not None:
            return []
        return [grant for given in _ENVIRONMENTS for grant in given(self)]

    def can(self, permission: Permission, on: models.Model | None = None) -> bool:
        """`on`: a tenant, an environment, or a row that belongs to one; None: the whole installation."""
        return self._can_at(permission, place_of(on))

    def _can_at(self, permission: Permission, place: Place | None) -> bool:
        if not self._token_allows(permission, place):
            return False
        if self._is_root:
            return True
        if place is None or permission in PLATFORM:
            return False
        if any(grant.allows(permission, place) for grant in self.grants):
            return True
        return place.environment_id is not None and any(g.allows(permission, place) for g in self.shares)

    def can_give(self, permission: Permission, on: models.Model | None) -> bool:
        """Whether he has it to hand on there.

        What is decided from above he needn't have from above: who gets it there has it only below, as he has.
        """
        return self._can_give_at(permission, place_of(on))

    def _can_give_at(self, permission: Permission, place: Place | None) -> bool:
        if permission not in FROM_ABOVE:
            return self._can_at(permission, place)
        if not self._token_names(permission) or not self._token_is_for(place):
            return False
        if self._is_root or place is None:
            return self._is_root
        return any(
            permission in grant.permissions
            and grant.environment_id is None
            and place.path.startswith(grant.path)
            for grant in self.grants
        )

    def require(self, permission: Permission, on: models.Model | None = None) -> None:
        """Raises `Forbidden` when the actor may not."""
        if not self.can(permission, on):
            self.refuse(permission, on)
        self.used[Need(permission, place_of(on))] = None

    def require_to_give(self, permission: Permission, on: models.Model | None) -> None:
        """Raises `Forbidden` when he hasn't got it to hand on."""
        if not self.can_give(permission, on):
            self.refuse(permission, on)
        self.used[Need(permission, place_of(on), is_given=True)] = None

    def has_still(self, needs: Iterable[Need]) -> bool:
        """Whether he, as he asks now, has these rights."""
        ask = {False: self._can_at, True: self._can_give_at}
        return all(ask[need.is_given](need.permission, need.place) for need in needs)

    def lacks_nothing_of(self, before: Actor) -> bool:
        """Whether he, as he asks now, has all that he had when he asked before: what that took, what he saw by,
        and the lists of his token."""
        if self.token is not None and before.token is not None:
            lists, listed = (
                (one.permissions, one.environments, one.tenant_id) for one in (self.token, before.token)
            )
            if lists != listed:
                return False
        is_same = self.user.pk == before.user.pk and self._is_root >= before._is_root
        has_grants = self._is_root or set(before.grants) <= set(self.grants)
        return is_same and has_grants and self.has_still(before.used)

    def refuse(self, permission: Permission, on: models.Model | None = None) -> NoReturn:
        place = place_of(on)
        raise Forbidden(permission, tenant_id=place.tenant_id if place else None, target=on)

    def _token_allows(self, permission: str, place: Place | None) -> bool:
        """Whether the token's own lists and tenant leave room for it; True without a token.

        A token is as somebody with these permissions in its tenant, whoever made it: what is decided from above
        it decides below its tenant only. With everything of its person it is as he is.
        """
        if not self._token_names(permission) or not self._token_is_for(place):
            return False
        if self.token is None or self.token.tenant is None or EVERYTHING in self.token.permissions:
            return True
        return place is not None and reaches(permission, self.token.tenant.path, place.path)

    def _token_names(self, permission: str) -> bool:
        listed = self.token.permissions if self.token is not None else [EVERYTHING]
        return permission in listed or EVERYTHING in listed

    def _token_is_for(self, place: Place | None) -> bool:
        if self.token is None:
            return True
        named = self.token.environments
        if named and (place is None or str(place.environment_id) not in named):
            return False
        if self.token.tenant is None:
            return True
        return place is not None and place.path.startswith(self.token.tenant.path)

    def scope(self, permission: Permission) -> Reach:
        """Where the actor may do this; for querysets (see `Scoped.for_actor`)."""
        if permission not in self._reaches:
            self._reaches[permission] = self._reach(permission)
        return self._reaches[permission]

    def _reach(self, permission: Permission) -> Reach:
        nowhere = Q(pk__in=[])
        token = self.token
        if not self._token_names(permission):
            return Reach(nowhere)
        allowed = None if self._is_root else nowhere
        if allowed is not None and permission not in PLATFORM:
            for grant in self.grants:
                if permission in grant.permissions:
                    allowed |= _below(permission, grant.path)
        if token is None:
            return Reach(allowed, self._shared(permission, ""))
        inside = token.tenant.path if token.tenant is not None else ""
        if inside:
            is_all = EVERYTHING in token.permissions
            below = Q(path__startswith=inside) if is_all else _below(permission, inside)
            allowed = below if allowed is None else allowed & below
        only = frozenset(UUID(text) for text in token.environments) if token.environments else None
        return Reach(allowed, self._shared(permission, inside), only)

    def _shared(self, permission: Permission, inside: str) -> frozenset[UUID]:
        if self._is_root:
            return frozenset()
        return frozenset(
            grant.environment_id
            for grant in self.shares
            if grant.environment_id and permission in grant.permissions and grant.path.startswith(inside)
        )


def _below(permission: str, root: str) -> Q:
    """As `reaches`, for the database."""
    found = Q(path__startswith=root)
    return found & ~Q(path=root) if permission in FROM_ABOVE else found


def place_of(on: models.Model | None) -> Place | None:
    """A row says it by a `place` of its own, or has a `tenant` that does, and perhaps an `environment_id`.

    Costs a query when the row's `tenant` was not selected with it. One without a tenant belongs to the whole
    installation.
    """
    if on is None:
        return None
    own: Place | None = getattr(on, "place", None)
    if own is not None:
        return own
    tenant = on.tenant  # type: ignore[attr-defined]
    if tenant is None:
        return None
    place: Place = tenant.place
    return replace(place, environment_id=getattr(on, "environment_id", None))
