"""Asking a node's agent, over its unix socket, with a ticket for one environment and one purpose."""

import http.client
import json
import socket
from functools import cached_property
from typing import Any
from uuid import UUID

from django.conf import settings

from panel.errors import Conflict, NodeAway, Refused
from panel.nodes.models import Node
from runtime.contract import Purpose, Ticket


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
        connection = _UnixConnection(self.path, timeout_s + 10)
        body = json.dumps({"command": command, "timeout_s": timeout_s, "stdin": stdin})
        headers = {
            "Authorization": f"Bearer {self.ticket(environment_id, Purpose.EXEC, user)}",
            "Content-Type": "application/json",
        }
        try:
            connection.request("POST", f"/v1/environments/{environment_id}/exec", body, headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NodeAway(
                f"The node {self.node.name} can't be asked right now.", next_step="Try again in a moment."
            ) from error
        finally:
            connection.close()
        document: dict[str, Any] = json.loads(text or b"{}")
        if status == 200:
            return document
        message = document.get("message", "The node refused.")
        if status == 409:
            raise Conflict(message, code="not_running", next_step=document.get("next_step", ""))
        raise Refused(message, code=document.get("code", "node_refused"), status=422 if status < 500 else 502)
