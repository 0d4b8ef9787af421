"""A client who opens connections without end at the front has his share, and others get in."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.install import connection_limits
from runtime.install.front import Front
from runtime.install.layout import Layout
from tests.host.support.node import network_namespace

pytestmark = pytest.mark.root
PORT, LIMIT, MANY = 8443, 40, 60
FRONT = Front(f"https://10.9.0.1:{PORT}", bind=("10.9.0.1", "fd09::1"), proxies=("10.9.0.9/32",))
#: Listens on every address, and hangs up when the client has.
_LISTEN = """
import socket, socketserver, sys
class Front(socketserver.ThreadingTCPServer):
    address_family, request_queue_size, daemon_threads = socket.AF_INET6, 1024, True
class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(100):
            pass
with Front(("::", int(sys.argv[1])), Connection) as front:
    print("listens", flush=True)
    front.serve_forever()
"""
#: How many of so many connections from each address are let in, while all are held.
_OPEN = """
import json, socket, sys
port, count, held, found = int(sys.argv[1]), int(sys.argv[2]), [], {}
for source in sys.argv[3:]:
    to = "fd09::1" if ":" in source else "10.9.0.1"
    found[source] = 0
    for _ in range(count):
        try:
            held.append(socket.create_connection((to, port), timeout=5, source_address=(source, 0)))
            held[-1].sendall(b"GET / HT")
            found[source] += 1
        except ConnectionRefusedError:
            pass
print(json.dumps(found))
"""


def _inside(namespace: Path, *words: str) -> list[str]:
    return ["nsenter", f"--net={namespace}", *words]


def _run(namespace: Path, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        _inside(namespace, *words), input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The network of a front that listens, and that of its clients."""
    with ExitStack() as stack:
        server, clients = (stack.enter_context(network_namespace()) for _ in range(2))
        _run(server, *f"ip link add w0 type veth peer name w0 netns {clients.name}".split())
        for namespace, addresses in (
            (server, ("10.9.0.1/24", "fd09::1/16")),
            (
                clients,
                ("10.9.0.2/24", "10.9.0.3/24", "10.9.0.9/24", "fd09:1::2/16", "fd09:1::3/16", "fd09:2::2/16"),
            ),
        ):
            for address in addresses:
                nodad = " nodad" if ":" in address else ""
                _run(namespace, *f"ip address add {address} dev w0{nodad}".split())
            _run(namespace, *"ip link set w0 up".split())
        words = _inside(server, "python3", "-c", _LISTEN, str(PORT))
        listener = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.callback(listener.kill)
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listens\n"
        yield server, clients


def _let_in(clients: Path, *sources: str) -> dict[str, int]:
    return dict(json.loads(_run(clients, "python3", "-c", _OPEN, str(PORT), str(MANY), *sources)))


def test_each_client_has_his_share_and_a_proxy_that_was_named_all(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    server, clients = two
    _run(
        server,
        "nft",
        "-f",
        "-",
        stdin=connection_limits.rules(connection_limits.table_of(Layout(tmp_path)), FRONT, LIMIT),
    )
    found = _let_in(clients, "10.9.0.2", "10.9.0.3", "10.9.0.9", "fd09:1::2", "fd09:1::3", "fd09:2::2")
    assert found == {
        "10.9.0.2": LIMIT,
        "10.9.0.3": LIMIT,
        "10.9.0.9": MANY,
        "fd09:1::2": LIMIT,
        "fd09:1::3": 0,  # of the same /64
        "fd09:2::2": LIMIT,
    }
    until = time.monotonic() + 10
    while _let_in(clients, "10.9.0.2") != {"10.9.0.2": LIMIT}:  # what has ended counts no more
        assert time.monotonic() < until


def test_without_a_bound_it_is_gone_again(two: tuple[Path, Path], tmp_path: Path) -> None:
    server, clients = two
    table = connection_limits.table_of(Layout(tmp_path))
    for front, limit in ((FRONT, LIMIT), (FRONT, LIMIT), (FRONT, 0)):
        _run(server, "nft", "-f", "-", stdin=connection_limits.rules(table, front, limit))
    assert _run(server, "nft", "list", "ruleset") == ""
    assert _let_in(clients, "10.9.0.2") == {"10.9.0.2": MANY}
