"""What the rest of the panel asks of people (`panel.rights.asking.Door`)."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.utils import timezone

from panel.access.auth import actor_of_request
from panel.access.models import Share
from panel.access.second_factor import lacks_second_factor
from panel.errors import SecondFactorNeeded
from panel.rights.actor import Actor, Grant
from panel.tenants.selectors import refuse_suspended


class Entrance:
    def actor_of(self, request: HttpRequest) -> Actor | None:
        return actor_of_request(request)

    def actor_anew(self, environ: Mapping[str, Any]) -> Actor | None:
        request = WSGIRequest({**environ, "wsgi.input": BytesIO()})
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        request.user = get_user(request)
        return actor_of_request(request)

    def lacks_second_factor(self, actor: Actor) -> bool:
        return lacks_second_factor(actor)

    def admit(self, actor: Actor) -> None:
        """Raises `SecondFactorNeeded`, or `Suspended` for a token of a suspended tenant."""
        if actor.is_admitted:
            return
        if lacks_second_factor(actor):
            raise SecondFactorNeeded
        if actor.token is not None and actor.token.tenant is not None and actor.support is None:
            refuse_suspended(actor.token.tenant)
        actor.is_admitted = True


def shares_of(actor: Actor) -> Iterator[Grant]:
    """Single environments, as long as they last. One query."""
    rows = Share.objects.filter(user=actor.user, expires_at__gt=timezone.now()).select_related("tenant")
    for row in rows:
        yield Grant(row.tenant.path, frozenset(row.permissions), row.environment_id)
