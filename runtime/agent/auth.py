"""Who may ask: every request carries a ticket of the panel, for one environment and one purpose, once."""

import threading
import time
from uuid import UUID

import jwt

from runtime.contract import Purpose, Ticket
from runtime.errors import RuntimeFault
from runtime.node import Node


class Forbidden(RuntimeFault):
    code = "forbidden"


class Gate:
    """Checks tickets and remembers the used ones until they are stale anyway."""

    def __init__(self, node: Node):
        self.node = node
        self._used: dict[UUID, int] = {}
        self._lock = threading.Lock()

    def admit(self, authorization: str, environment_id: UUID | None, purposes: set[Purpose]) -> Ticket:
        """The ticket of an `Authorization: Bearer` header; raises `Forbidden` with the reason."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Forbidden("a ticket of the panel is needed")
        try:
            key = self.node.ticket_key.read_text()
            ticket = Ticket.verify(token.strip(), public_key_pem=key, node=self.node.name)
        except (jwt.InvalidTokenError, OSError, ValueError, KeyError) as bad:
            raise Forbidden(f"the ticket is not good: {type(bad).__name__}") from bad
        if ticket.environment_id != environment_id or ticket.purpose not in purposes:
            raise Forbidden("the ticket is for something else")
        self._once(ticket)
        return ticket

    def _once(self, ticket: Ticket) -> None:
        now = int(time.time())
        with self._lock:
            for old in [one for one, expires in self._used.items() if expires < now]:
                del self._used[old]
            if ticket.id in self._used:
                raise Forbidden("the ticket was used before")
            self._used[ticket.id] = ticket.expires_at
