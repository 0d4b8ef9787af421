"""From a request or a WebSocket handshake to an `Actor`."""

import hmac
import ipaddress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError
from django.db.models import UUIDField
from django.http import HttpRequest
from django.utils import timezone

from panel.access.models import SupportAccess
from panel.accounts.models import Token
from panel.accounts.sessions import is_over
from panel.accounts.token_text import PREFIX, digest_of
from panel.http.client import client_address
from panel.http.database import DATABASE
from panel.prepared import Given, Prepared
from panel.rights.actor import Actor

#: Key of the session for the support access that it is in.
SUPPORT_KEY = "support"
#: `last_used_at` is written at most this often, so that reading stays reading.
_TOUCH_EVERY = timedelta(minutes=1)

_TOKEN = Prepared(lambda: Token.objects.select_related("user", "tenant").filter(pk=Given("pk", UUIDField())))


def actor_from_token(text: str, address: str) -> Actor | None:
    """None when it is unknown, wrong, expired, revoked, used from elsewhere, or its support access is over."""
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != PREFIX:
        return None
    try:
        token_id = UUID(hex=parts[1])
    except ValueError:
        return None
    token = _TOKEN.first(pk=token_id)
    if token is None or not hmac.compare_digest(token.digest, digest_of(parts[2])):
        return None
    now = timezone.now()
    if not token.is_usable(now) or not token.user.is_active or not is_within(address, token.networks):
        return None
    if token.support is not None and not _speaks_for_support(token, now):
        return None
    if token.last_used_at is None or now - token.last_used_at > _TOUCH_EVERY:
        _touch(token, now, address)
    return Actor(user=token.user, token=token, address=address, support=token.support)


def _touch(token: Token, now: datetime, address: str) -> None:
    """Notes that it was used. While nothing can be written, reading goes on without."""
    if DATABASE.is_locked:
        return
    try:
        Token.objects.filter(pk=token.pk).update(last_used_at=now, last_used_from=address or None)
    except OperationalError as error:
        DATABASE.failed(error)
        if not DATABASE.is_locked:
            raise


def _speaks_for_support(token: Token, now: datetime) -> bool:
    """Whether its support access runs, and neither its person nor the token that entered lost his rights."""
    opener = token.opened_by
    is_open = token.support is not None and token.support.is_running(now)
    return is_open and token.user.is_superuser and (opener is None or opener.revoked_at is None)


def is_within(address: str, networks: list[str]) -> bool:
    """True for an empty list; an unknown address is within none."""
    if not networks:
        return True
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in ipaddress.ip_network(network) for network in networks)


def actor_of_session(user: Any, session: Any, address: str) -> Actor | None:
    """Who is signed in; in a tenant's view while his support access runs. None: nobody is."""
    if user is None or not user.is_authenticated or not user.is_active or is_over(session):
        return None
    support = None
    if (key := session.get(SUPPORT_KEY)) and user.is_superuser:
        support = SupportAccess.objects.running().select_related("tenant").filter(pk=key, user=user).first()
    return Actor(user=user, address=address, support=support)


def actor_of_request(request: HttpRequest) -> Actor | None:
    """By bearer token, else by session. A bad token never falls back to the session.

    Nor does an empty `Authorization`: whoever sends one isn't asked for a CSRF token.
    """
    address = client_address(request.META)
    given = request.headers.get("Authorization")
    if given is not None:
        scheme, _, value = given.partition(" ")
        return actor_from_token(value.strip(), address) if scheme.lower() == "bearer" else None
    user = getattr(request, "user", None)
    return actor_of_session(user, request.session, address) if hasattr(request, "session") else None
