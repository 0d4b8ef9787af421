"""Which addresses are dialled for a tenant."""

import os
import socket
import threading
from ipaddress import ip_address

import pytest

from runtime.images.oci.egress import Egress, is_loopback, is_outward, place_of_registry


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_outward(text: str) -> None:
    assert is_outward(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
        *("64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "2001:0:0:0:0:0:f5ff:fffe"),
        *("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "100.100.100.200", "192.0.0.192"),
        *("fec0::1", "::10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b:1::a00:1", "3fff::1", "5f00::1", "4000::1"),
    ],
)
def test_inward(text: str) -> None:
    assert not is_outward(ip_address(text))


def test_hosts() -> None:
    assert place_of_registry("a.b", insecure=False) == {("a.b", 443)}
    assert place_of_registry("a.b", insecure=True) == {("a.b", 443), ("a.b", 80)}
    assert place_of_registry("a.b:5000", insecure=True) == {("a.b", 5000)}
    assert place_of_registry("[::1]:5000", insecure=False) == {("[::1]", 5000)}
    assert is_loopback("127.0.0.1")
    assert is_loopback("[::1]")
    assert is_loopback("localhost")
    assert not is_loopback("a.b")


class _Here(Egress):
    """Serves one end of a pair of sockets, in no namespace of its own."""

    def ask(self, text: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(theirs, self._proxied))
        thread.start()
        with ours:
            ours.settimeout(20)
            ours.sendall(text)
            answer = ours.recv(4096)
            if answer.startswith(b"HTTP/1.1 200 OK\r\n\r\n"):
                ours.sendall(b"hello")
                answer = ours.recv(4096)
        thread.join(20)
        return answer


@pytest.fixture
def echo() -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            with client:
                client.sendall(b"said: " + client.recv(4096))

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def test_what_nobody_named_is_not_dialled(echo: int) -> None:
    one = _Here(os.open("/", os.O_RDONLY), None)
    assert b"403" in one.ask(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % echo)
    assert one.why is not None
    assert one.why.code == "apps.registry_inward"


def test_what_was_named_is_dialled_and_counted(echo: int) -> None:
    one = _Here(os.open("/", os.O_RDONLY), None, named=frozenset((("127.0.0.1", echo),)))
    assert one.ask(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % echo) == b"said: hello"
    assert one.received == len(b"said: hello")
    # another port of the same host was not named
    assert b"403" in one.ask(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")


def test_without_tls_only_where_it_was_said() -> None:
    one = _Here(os.open("/", os.O_RDONLY), None)
    assert b"403" in one.ask(b"GET http://1.1.1.1/v2/ HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n")
    assert one.why is not None
    assert one.why.code == "apps.without_tls"


@pytest.mark.parametrize("text", [b"nonsense", b"GET / HTTP/1.1", b"CONNECT a:b:c HTTP/1.1"])
def test_what_is_no_request_gets_no_answer(text: bytes) -> None:
    one = _Here(os.open("/", os.O_RDONLY), None)
    assert one.ask(text + b"\r\n\r\n") == b""


@pytest.mark.parametrize("keeps_one", [False, True])
def test_the_end_of_the_only_connection_counts_as_unreached(echo: int, *, keeps_one: bool) -> None:
    """Who waits for it to come back by itself dials no more; others dial the next one when it is wanted."""
    named = frozenset((("127.0.0.1", echo),))
    one = _Here(os.open("/", os.O_RDONLY), None, named=named, keeps_one=keeps_one)
    assert one.ask(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % echo) == b"said: hello"
    assert (one.unreached_since is not None) is keeps_one


def test_the_end_of_one_connection_is_nothing_where_the_next_stands_already() -> None:
    """Programs after each other have one each: the end of the first may be seen after the second has begun."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        there = _Here(os.open("/", os.O_RDONLY), None, named=frozenset((("127.0.0.1", port),)), keeps_one=True)
        servers, clients = [], []
        for _ in range(2):
            ours, theirs = socket.socketpair()
            leading = threading.Thread(target=there._lead, args=(theirs, "127.0.0.1", port, b""), daemon=True)
            leading.start()
            servers.append(listener.accept()[0])
            clients.append((ours, leading))
        servers[0].close()
        clients[0][1].join(60)
        assert there.unreached_since is None
        servers[1].close()
        clients[1][1].join(60)
        assert there.unreached_since is not None
        for ours, _ in clients:
            ours.close()
