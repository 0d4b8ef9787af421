"""Sockets of the node's that are in an environment's own network: what it can't reach, they don't."""

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from uuid import UUID

from runtime.host import libc
from runtime.node import Node
from runtime.sandboxes import sandbox_of


def open_within(
    node: Node,
    environment_id: UUID,
    kinds: Sequence[tuple[socket.AddressFamily, socket.SocketKind]],
    undo: ExitStack,
) -> list[socket.socket]:
    """One for each kind, in their order, closed by `undo`; fewer where the environment is gone meanwhile, or
    this host hasn't the family. Opened by a thread that ends there: a socket stays with the network namespace
    that it was opened in. Raises `RuntimeFault` when the environment doesn't run."""
    namespace = sandbox_of(node).open_namespace(environment_id, "net")
    made: list[socket.socket] = []

    def work() -> None:
        with suppress(OSError):
            libc.setns(namespace, libc.CLONE_NEWNET)
            for family, kind in kinds:
                made.append(undo.enter_context(socket.socket(family, kind)))

    thread = threading.Thread(target=work, name="socket within")
    thread.start()
    thread.join()
    os.close(namespace)
    return made
