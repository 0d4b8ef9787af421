"""Who asks: found once for each request, by whoever knows people (`panel.access`), and kept on it."""

from collections.abc import Mapping
from typing import Any, Protocol

from django.http import HttpRequest
from ninja.errors import AuthenticationError

from panel.errors import Forbidden, Refused
from panel.rights.actor import Actor

#: Key of a request's META for who asks, once that was looked up.
ACTOR = "wadah.actor"


class Door(Protocol):
    """What knows people. One app registers it by `opens` when it is ready."""

    def actor_of(self, request: HttpRequest) -> Actor | None:
        """By bearer token, else by session; None: nobody, or somebody with a bad one."""

    def actor_anew(self, environ: Mapping[str, Any]) -> Actor | None:
        """The same, of a request that was let in a while ago: session and token are read once more."""

    def lacks_second_factor(self, actor: Actor) -> bool:
        """Whether he must set one up before he goes on."""

    def admit(self, actor: Actor) -> None:
        """Raises a `Refused` for whom the API is closed, whatever he asks. Asked again: a no-op."""


class Refusals(Protocol):
    """What keeps a record of refusals."""

    def __call__(self, actor: Actor, refusal: Forbidden, tried: str) -> object:
        """`tried` as `POST /path`."""


_doors: list[Door] = []
_records: list[Refusals] = []


def opens(door: Door) -> None:
    """For an app's `ready()`; there is one."""
    _doors[:] = [door]


def records_refusals(record: Refusals) -> None:
    """For an app's `ready()`; there is one."""
    _records[:] = [record]


def actor_of(request: HttpRequest) -> Actor | None:
    """Looked up once for each request; None: nobody that we know."""
    known: Actor | None
    if hasattr(request, "_wadah_actor"):
        known = request._wadah_actor
        return known
    known = _doors[0].actor_of(request)
    request._wadah_actor = known  # type: ignore[attr-defined]
    request.META[ACTOR] = known
    return known


def actor(request: HttpRequest) -> Actor:
    """Who asks the API; its routes are never reached without. To a suspended tenant's tokens it is closed."""
    found = actor_of(request)
    if found is None:
        raise AuthenticationError
    admit(found)
    return found


def admit(actor: Actor) -> None:
    """Whether the API is open to him at all: before the work, and before a kept answer."""
    _doors[0].admit(actor)


def may_go_on(environ: Mapping[str, Any]) -> bool:
    """Whether who was let in by this request (PEP 3333), and is still being answered, would be let in now."""
    before: Actor | None = environ.get(ACTOR)
    if before is None:
        return True
    now = _doors[0].actor_anew(environ)
    if now is None:
        return False
    try:
        admit(now)
    except Refused:
        return False
    return now.lacks_nothing_of(before)


def lacks_second_factor(actor: Actor) -> bool:
    return _doors[0].lacks_second_factor(actor)


def tell_refused(actor: Actor, refusal: Forbidden, tried: str) -> None:
    """That somebody was refused, to whoever keeps a record of it."""
    for record in _records:
        record(actor, refusal, tried)
