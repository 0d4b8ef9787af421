"""Checks the tickets that the panel signs: right node, right environment, right purpose, used once."""

import time
from pathlib import Path
from uuid import UUID

import jwt

from runtime.contract import Purpose, Ticket
from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.node import Node

#: Used tickets are remembered until they are stale; more than this at once is an attack or a fault.
_MAX_REMEMBERED = 100_000


class TicketRefused(RuntimeFault):
    code = "ticket_refused"
    retryable = False


class TicketOffice:
    """One per agent process; not for several threads."""

    def __init__(self, node: Node):
        self._node = node
        self._used: dict[UUID, int] = {}
        self._key = ""
        self._key_stamp = 0

    def check(self, token: str, environment_id: UUID | None, *purposes: Purpose) -> Ticket:
        """The ticket, which is worth nothing from now on. Raises `TicketRefused` with the reason."""
        try:
            ticket = Ticket.verify(token, public_key_pem=self._public_key(), node=self._node.name)
        except (jwt.InvalidTokenError, KeyError, ValueError) as bad:
            raise TicketRefused(agent.bad_ticket()) from bad
        if ticket.environment_id != environment_id or environment_id is None:
            raise TicketRefused(agent.other_environment())
        if ticket.purpose not in purposes:
            raise TicketRefused(agent.other_purpose(ticket.purpose))
        self._use(ticket)
        return ticket

    def _use(self, ticket: Ticket) -> None:
        now = int(time.time())
        if len(self._used) >= _MAX_REMEMBERED:
            self._used = {key: until for key, until in self._used.items() if until >= now}
        if ticket.id in self._used:
            raise TicketRefused(agent.used_ticket())
        if len(self._used) >= _MAX_REMEMBERED:
            raise TicketRefused(agent.too_many_tickets())
        self._used[ticket.id] = ticket.expires_at

    def _public_key(self) -> str:
        """Read again when its file has changed, so that a new key needs no restart."""
        file: Path = self._node.ticket_key
        try:
            stamp = file.stat().st_mtime_ns
            if stamp != self._key_stamp:
                self._key, self._key_stamp = file.read_text(), stamp
        except OSError as missing:
            raise TicketRefused(agent.no_key(), next_step=advice.run_up()) from missing
        return self._key
