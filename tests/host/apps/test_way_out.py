"""The one way out leads from the container's network to that of whoever opened it."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from runtime.host import libc
from runtime.images.oci.egress import Egress
from runtime.images.oci.tools import network
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
            network(node) as (namespace, _),
            Egress(namespace, None, named=frozenset((("127.0.0.1", port),))),
        ):
            assert _answer_of(port, namespace) == b"outside"
    assert not [one for one in os.listdir(node.mounts) if one.startswith("import-net")]


_MACHINE = """
echo %s | tee /proc/sys/net/ipv4/ip_nonlocal_bind > /proc/sys/net/ipv6/ip_nonlocal_bind
ip link set lo up && ip link add own0 type veth peer name own1 && ip link set own0 up && ip link set own1 up
ip addr add 9.9.9.9/24 dev own0 && ip addr add 2606:4700::9/64 dev own0 nodad
ip route add default via 9.9.9.1 && ip -6 route add default via 2606:4700::1
exec "$@"
"""
_ASK = """
from ipaddress import ip_address
from runtime.images.oci.egress import is_outward
for text in ("9.9.9.9", "2606:4700::9", "::ffff:9.9.9.9", "9.9.9.10", "1.1.1.1", "2606:4700::1111"):
    print(text, is_outward(ip_address(text)))
"""


@pytest.mark.parametrize("may_bind_any", [0, 1])
def test_the_machines_own_addresses_are_inward_and_no_others(may_bind_any: int) -> None:
    """Where one may listen at any address (`ip_nonlocal_bind`), every one was taken for the machine's own."""
    words = ["unshare", "--net", "sh", "-ec", _MACHINE % may_bind_any, "sh", sys.executable, "-c", _ASK]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    said = dict(line.split() for line in done.stdout.splitlines())
    assert {text for text, is_out in said.items() if is_out == "False"} == {
        "9.9.9.9",
        "2606:4700::9",
        "::ffff:9.9.9.9",
    }
    assert len(said) == 6
