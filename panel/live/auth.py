"""Who is behind a WebSocket: a bearer token, else the session."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from panel.access.auth import actor_from_token, actor_of_session
from panel.accounts.models import User
from panel.http.client import client_of_scope
from panel.rights.actor import Actor
from panel.rights.asking import lacks_second_factor
from panel.tenants.models import TenantState

if TYPE_CHECKING:
    from channels.consumer import _ChannelScope as Scope


def actor_of_scope(scope: Scope) -> Actor | None:
    """None when nobody who may be here. A bad token never falls back to the session."""
    return _actor(scope, scope.get("user"), scope.get("session"))


def _actor(scope: Scope, user: object, session: Any) -> Actor | None:
    headers = dict(scope.get("headers", []))
    address = client_of_scope(scope)
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, value = authorization.decode(errors="replace").partition(" ")
        actor = actor_from_token(value.strip(), address) if scheme.lower() == "bearer" else None
    else:
        actor = actor_of_session(user, session, address) if isinstance(user, User) else None
    return None if actor is None or lacks_second_factor(actor) or _is_closed_to(actor) else actor


def _is_closed_to(actor: Actor) -> bool:
    """A token of a suspended tenant, as for the API."""
    tenant = actor.token.tenant if actor.token is not None and actor.support is None else None
    return tenant is not None and tenant.state == TenantState.SUSPENDED


def actor_now(scope: Scope) -> Actor | None:
    """Reads session and token anew: what was good at the handshake may be gone."""
    session = scope.get("session")
    if session is not None and session.session_key:
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(session.session_key)
        return _actor(scope, get_user(request), request.session)
    return actor_of_scope(scope)


class Doubt:
    """For how long a socket's rights could not be looked at, since the database is away.

    Open terminals go on meanwhile, but not for ever: whoever was signed out in that time must not stay.
    """

    MOST_S = 300.0

    def __init__(self) -> None:
        self._since: float | None = None

    def cleared(self) -> None:
        self._since = None

    def may_go_on(self) -> bool:
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since < self.MOST_S
