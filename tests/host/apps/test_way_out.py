"""The one way out leads from the container's network to that of whoever opened it."""

import os
import socket
import threading

from runtime.host import libc
from runtime.images.oci.egress import Egress
from runtime.images.oci.registry import _network
from runtime.node import Node


def _answer_of(port: int, namespace: int) -> bytes:
    """As a program in that network gets it."""
    heard: list[bytes] = []

    def ask() -> None:
        libc.setns(namespace, libc.CLONE_NEWNET)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            heard.append(client.recv(100))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(30)
    return heard[0] if heard else b""


def test_it_dials_where_it_was_opened(node: Node) -> None:
    """Not in the network of the container, which its own threads began in."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(b"outside")

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        with (
            _network(node) as (namespace, _),
            Egress(namespace, None, named=frozenset((("127.0.0.1", port),))),
        ):
            assert _answer_of(port, namespace) == b"outside"
    assert not [one for one in os.listdir(node.mounts) if one.startswith("import-net")]
