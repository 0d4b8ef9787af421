"""Who comes in by the gateway, and where to: looked at when they sign in, and again while they are in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from allauth.mfa.utils import is_mfa_enabled
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from panel.access.auth import actor_from_token
from panel.accounts import guesses
from panel.accounts.models import SshKey, User
from panel.accounts.token_text import PREFIX
from panel.environments.models import Environment
from panel.gateway.names import Wanted, parse
from panel.rights.actor import Actor
from panel.rights.asking import lacks_second_factor
from panel.rights.permissions import Permission
from panel.tenants.models import TenantState
from runtime.contract import DesiredState

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Guest:
    """Somebody who showed who he is, and the environment that he named."""

    actor: Actor
    environment: Environment
    again: Callable[[], Actor | None]
    """The actor as he is now: None when the key, the token or the password isn't good any more."""
    by: str
    """`key SHA256:…`, `token` or `password`, for the record."""
    key: UUID | None = None
    """The kept key by which he came."""

    def may(self, permission: Permission) -> bool:
        return _may(self.actor, self.environment.pk, permission)


def by_key(user_name: str, fingerprint: str, address: str) -> Guest | None:
    """Whose key it is, and who may enter what was named; None when that is nobody, or not one person alone.

    Anybody may keep the public key of somebody else, to be taken for him or to stand in his way. So where
    several people keep one, and none is named, it is theirs alone who have come in by it: they have its other
    half."""
    wanted = parse(user_name)
    if wanted is None:
        return None
    rows = SshKey.objects.select_related("user").filter(fingerprint=fingerprint, user__is_active=True)
    if wanted.person:
        rows = rows.filter(user__in=_called(wanted.person))
    elif rows.count() > 1:
        rows = rows.exclude(used_at=None)
    found = []
    for row in rows[:20]:

        def again(pk: UUID = row.pk) -> Actor | None:
            kept = SshKey.objects.select_related("user").filter(pk=pk, user__is_active=True).first()
            return None if kept is None else Actor(user=kept.user, address=address)

        guest = _guest(Actor(user=row.user, address=address), wanted, again, f"key {fingerprint}")
        if guest is not None:
            found.append(replace(guest, key=row.pk))
    return found[0] if len(found) == 1 else None


def note_use(key: UUID) -> None:
    """That somebody came in by it, who has shown that its other half is his."""
    SshKey.objects.filter(pk=key, used_at=None).update(used_at=timezone.now())


def by_password(user_name: str, password: str, address: str) -> Guest | None:
    """A token, whoever it is of; else the password of the person that was named, who has no second factor.

    Held up as at sign-in: by address, by address and account, by account."""
    wanted = parse(user_name)
    if wanted is None:
        return None
    if password.startswith(f"{PREFIX}_"):
        return _by_token(wanted, password, address)
    if not wanted.person:
        return None
    request = _request(address)
    try:
        tried = guesses.begin(request, "password", guesses.account_of(wanted.person))
    except guesses.TooManyGuesses:
        return None
    user = _called(wanted.person).first()
    if user is None:
        User().set_password(password)  # takes as long as a look at a real one
        return None
    if not user.check_password(password):
        return None
    tried.right()
    if is_mfa_enabled(user):
        return None
    digest = user.password

    def again() -> Actor | None:
        kept = User.objects.filter(pk=user.pk, is_active=True, password=digest).first()
        return None if kept is None or is_mfa_enabled(kept) else Actor(user=kept, address=address)

    return _guest(Actor(user=user, address=address), wanted, again, "password")


def _by_token(wanted: Wanted, text: str, address: str) -> Guest | None:
    def again() -> Actor | None:
        return actor_from_token(text, address)

    actor = again()
    if actor is None:
        guesses.may_show_bad_token(_request(address))
        return None
    if wanted.person and actor.user not in _called(wanted.person):
        return None
    return _guest(actor, wanted, again, "token")


def may_stay(guest: Guest) -> bool:
    """Whether he may still be in; everything is read anew."""
    actor = guest.again()
    if actor is None or not _is_admitted(actor):
        return False
    return any(_may(actor, guest.environment.pk, one) for one in _WAYS)


_WAYS = (Permission.ENVIRONMENT_CONSOLE, Permission.ENVIRONMENT_EXEC)


def _guest(actor: Actor, wanted: Wanted, again: Callable[[], Actor | None], by: str) -> Guest | None:
    if not _is_admitted(actor):
        return None
    environment = _named(actor, wanted)
    return None if environment is None else Guest(actor, environment, again, by)


def _is_admitted(actor: Actor) -> bool:
    """As the API and the WebSockets have it."""
    tenant = actor.token.tenant if actor.token is not None and actor.support is None else None
    is_closed = tenant is not None and tenant.state == TenantState.SUSPENDED
    return actor.user.is_active and not is_closed and not lacks_second_factor(actor)


def _named(actor: Actor, wanted: Wanted) -> Environment | None:
    """The one that is meant among those that he may enter; None when it is none, or more than one."""
    where = Q(pk=wanted.id) if wanted.id is not None else Q(name=wanted.environment)
    if wanted.tenant:
        where &= Q(tenant__slug=wanted.tenant)
    ids = set[UUID]()
    for permission in _WAYS:
        rows = _open(actor, permission).filter(where)
        ids.update(rows.values_list("pk", flat=True)[:2])
    if len(ids) != 1:
        return None
    return Environment.objects.select_related("tenant", "node").filter(pk=ids.pop()).first()


def _may(actor: Actor, environment_id: UUID, permission: Permission) -> bool:
    return _open(actor, permission).filter(pk=environment_id).exists()


def _open(actor: Actor, permission: Permission) -> QuerySet[Environment]:
    """Neither in the trash nor on their way out."""
    rows = Environment.objects.living().for_actor(actor, permission)
    return rows.filter(trashed_at=None).exclude(desired_state=DesiredState.DELETED)


def _called(name: str) -> QuerySet[User]:
    return User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name), is_active=True)


def _request(address: str) -> HttpRequest:
    """What counts guesses counts them of a request's client."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = address
    return request
