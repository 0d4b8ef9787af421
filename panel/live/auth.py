"""Who is behind a WebSocket: a bearer token, else the session."""

from typing import Any

from django.contrib.auth import get_user

from panel.accounts.actor import Actor
from panel.accounts.auth import actor_from_token


def actor_of_scope(scope: dict[str, Any]) -> Actor | None:
    """None when nobody who may be here. A bad token never falls back to the session."""
    headers = dict(scope.get("headers", []))
    forwarded = headers.get(b"x-forwarded-for", b"").decode(errors="replace")
    address = forwarded.rsplit(",", 1)[-1].strip()
    authorization = headers.get(b"authorization", b"").decode(errors="replace")
    if authorization:
        scheme, _, value = authorization.partition(" ")
        return actor_from_token(value.strip(), address) if scheme.lower() == "bearer" else None
    user = scope.get("user")
    if user is None or not user.is_authenticated or not user.is_active:
        return None
    return Actor(user=user, address=address)


def actor_now(scope: dict[str, Any]) -> Actor | None:
    """Reads session and token anew: what was good at the handshake may be gone."""
    session = scope.get("session")
    if session is not None and session.session_key:
        fresh = type(session)(session.session_key)

        class Request:
            pass

        request = Request()
        request.session = fresh  # type: ignore[attr-defined]
        scope = {**scope, "user": get_user(request)}  # type: ignore[arg-type]
    return actor_of_scope(scope)
