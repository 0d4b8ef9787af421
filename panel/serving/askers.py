"""On whose account a request goes, before anybody has looked who asks.

Reading a session or token takes a thread and the database, which is what a queue is to be fair about. So who
was behind a credential is kept, and looked up anew once a minute; until it is known, its requests count as its
address's. Who is known stays so, however old that is: it opens nothing, and among the strangers of his address
he would stand in line behind whatever they ask.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from django.conf import settings

from panel.http.client import block_of, client_address
from panel.rights.actor import Actor
from panel.rights.asking import ACTOR
from panel.serving.fair_queue import Asker

#: A credential's asker is looked up anew after so long.
KEPT_S = 60.0
MOST = 10_000


class Askers:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Asker, float]] = OrderedDict()
        self._lock = Lock()

    def of(self, environ: Mapping[str, Any]) -> Asker:
        credential = _credential(environ)
        if credential is not None:
            with self._lock:
                known = self._known.get(credential)
            if known is not None:
                return known[0]
        return stranger(client_address(environ), credential)

    def learn(self, environ: Mapping[str, Any]) -> None:
        """After the request: who it was. In its thread, since it may ask the database, once a minute."""
        actor = environ.get(ACTOR)
        credential = _credential(environ)
        if actor is None or credential is None:
            return
        now = self._clock()
        with self._lock:
            known = self._known.get(credential)
            if known is not None and known[1] > now:
                return
        asker = asker_of(actor)
        with self._lock:
            self._known[credential] = asker, now + KEPT_S
            self._known.move_to_end(credential)
            if len(self._known) > MOST:
                self._known.popitem(last=False)


def asker_of(actor: Actor) -> Asker:
    """All tokens and sessions of a person count together, and all people of tenants that hang together.

    A token of a tenant's counts there: one and the same person may have made those of many tenants.
    """
    person = f"person {actor.user.pk}"
    if actor.token is not None and actor.token.tenant is not None:
        return Asker(actor.token.tenant.path.partition("/")[0], f"{person} for {actor.token.tenant_id}")
    tops = {grant.path.partition("/")[0] for grant in actor.grants}
    return Asker(tops.pop() if len(tops) == 1 else person, person)


def stranger(address: str, credential: bytes | None) -> Asker:
    """By what one client can choose addresses from; what is shown the first time takes turns there."""
    block = block_of(address)
    return Asker(block, credential.hex() if credential else block)


def _credential(environ: Mapping[str, Any]) -> bytes | None:
    """A digest of what the request shows of itself, so that no secret lies about."""
    shown = environ.get("HTTP_AUTHORIZATION") or _session(environ.get("HTTP_COOKIE", ""))
    return hashlib.blake2b(shown.encode(), digest_size=16).digest() if shown else None


def _session(cookies: str) -> str:
    wanted = f"{settings.SESSION_COOKIE_NAME}="
    found = (part.strip() for part in cookies.split(";"))
    return next((part for part in found if part.startswith(wanted)), "")
