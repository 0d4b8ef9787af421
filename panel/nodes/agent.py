"""Asking a node's agent, over its unix socket, with a ticket for one environment and one purpose."""

import http.client
import json
import socket
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from panel.errors import Conflict, NodeAway, Refused
from panel.nodes.models import Node
from runtime.contract import Purpose, Ticket

_PIECE_BYTES = 64 * 1024


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("agent", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Agent:
    def __init__(self, node: Node) -> None:
        self.node = node

    @cached_property
    def path(self) -> str:
        return str(settings.WADAH.agent_path)

    def ticket(self, environment_id: UUID, purpose: Purpose, user: str, *, read_only: bool = False) -> str:
        made = Ticket.issue(
            environment_id=environment_id, node=self.node.name, purpose=purpose, user=user, read_only=read_only
        )
        return made.sign(settings.SECRETS.ticket_key)

    def execute(
        self, environment_id: UUID, command: list[str], *, user: str, timeout_s: float, stdin: str
    ) -> dict[str, Any]:
        """`{"exit_code", "stdout", "stderr", "truncated", "timed_out"}`. Raises `Conflict` when it doesn't
        run, `NodeAway` when the node can't be asked."""
        body = {"command": command, "timeout_s": timeout_s, "stdin": stdin}
        path = f"/v1/environments/{environment_id}/exec"
        ticket = self.ticket(environment_id, Purpose.EXEC, user)
        return self._ask("POST", path, ticket, body, timeout_s=timeout_s + 10)

    def terminals(self, environment_id: UUID, *, user: str) -> list[dict[str, Any]]:
        """`{"name", "running", "created_at", "exit_code", "viewers"}` of each, by age. Raises `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.TERMINAL, user)
        answer = self._ask("GET", f"/v1/environments/{environment_id}/terminals", ticket)
        return list(answer["terminals"])

    def close_terminal(self, environment_id: UUID, name: str, *, user: str) -> None:
        """Ends its shell and forgets what it printed; a no-op when there is none. Raises `NodeAway`."""
        ticket = self.ticket(environment_id, Purpose.TERMINAL, user)
        try:
            self._ask("DELETE", f"/v1/environments/{environment_id}/terminals/{name}", ticket)
        except Refused as refusal:
            if refusal.code != "not_found":
                raise

    def console_log(self, environment_id: UUID, form: str, *, user: str) -> Iterator[bytes]:
        """What its console printed, in pieces; `form`: `text` or `cast`. Raises `NodeAway` at once."""
        ticket = self.ticket(environment_id, Purpose.CONSOLE, user, read_only=True)
        connection = _UnixConnection(self.path, 15)
        path = f"/v1/environments/{environment_id}/console/log?format={form}"
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {ticket}"})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._away() from error
        if answer.status != http.HTTPStatus.OK:
            connection.close()
            raise self._away()
        return self._pieces(connection, answer)

    @staticmethod
    def _pieces(connection: _UnixConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while piece := answer.read(_PIECE_BYTES):
                yield piece
        finally:
            connection.close()

    def _away(self) -> NodeAway:
        return NodeAway(
            _("The node %(name)s can't be asked right now.") % {"name": self.node.name},
            next_step=_("Try again in a moment."),
        )

    def _ask(
        self, method: str, path: str, ticket: str, body: dict[str, Any] | None = None, *, timeout_s: float = 15
    ) -> dict[str, Any]:
        connection = _UnixConnection(self.path, timeout_s)
        headers = {"Authorization": f"Bearer {ticket}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
            document: dict[str, Any] = json.loads(text or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._away() from error
        finally:
            connection.close()
        if status < 300:
            return document
        message = document.get("message", "The node refused.")
        if status == 409:
            raise Conflict(message, code="not_running", next_step=document.get("next_step", ""))
        raise Refused(message, code=document.get("code", "node_refused"), status=422 if status < 500 else 502)
