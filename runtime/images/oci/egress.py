"""The one way out of a container that asks registries: a proxy in its network namespace, which dials only what
everybody may reach.

Names are resolved here, and the address that was judged is the one that is dialled. So neither a redirect nor a
name that changes its mind leads inward: to the node, its environments, private networks, or what a cloud tells
its machines. What an administrator named may lie there.
"""

import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Self

from runtime.contract.said import Said
from runtime.contract.words import apps
from runtime.host import libc
from runtime.network.addressing import CLOUD4

CONNECT_S = 10.0
#: A registry that says nothing for so long is gone.
SILENCE_S = 30.0
_PORT = 3128
_HEAD_BYTES = 64 * 1024
_PIECE = 256 * 1024
_MOST_CONNECTIONS = 64
#: SIOCSIFFLAGS, IFF_UP (netdevice(7))
_SET_FLAGS, _UP = 0x8914, 1
#: RFC 6052: an IPv4 address in an IPv6 one, which a gateway takes apart.
_NAT64 = IPv6Network("64:ff9b::/96")
#: All that IANA gives to anybody (RFC 4291, 2.4); and of it what it keeps for documents (RFC 9637).
_UNICAST6, _DOCUMENTS6 = IPv6Network("2000::/3"), IPv6Network("3fff::/20")
Address = IPv4Address | IPv6Address


class Turned(Exception):
    """Away, with the reason."""

    def __init__(self, said: Said):
        super().__init__(said)
        self.said = said


@dataclass(frozen=True)
class Sentences:
    """What is said of a host that isn't reached, by its name."""

    unknown: Callable[[str], Said] = apps.registry_unknown
    inward: Callable[[str], Said] = apps.registry_inward
    silent: Callable[[str], Said] = apps.registry_silent


@dataclass
class Egress:
    """Serves one container, until `close`."""

    namespace: int
    """Descriptor of the container's network namespace."""
    outside: Path | None
    """Network namespace that is dialled from; None: that of whoever begins."""
    named: frozenset[tuple[str, int]] = frozenset()
    """Hosts and ports that may lie inward."""
    plain: frozenset[tuple[str, int]] = frozenset()
    """Those that may be asked without TLS."""
    is_plain: bool = False
    """All may."""
    only: frozenset[tuple[str, int]] = frozenset()
    """Hosts and ports that are dialled, and no others; empty: all that may be."""
    keeps_one: bool = False
    """Who asks has one connection for all of its work, and doesn't come back by itself when that is lost."""
    most_bytes: int = 2**40
    said: Sentences = field(default_factory=Sentences)
    received: int = 0
    unreached_since: float | None = None
    """Since when nobody was reached, by `time.monotonic`; None: somebody was, or nobody was asked for."""
    why: Said | None = None
    """The first reason for which somebody was turned away, or cut off."""
    _undo: ExitStack = field(default_factory=ExitStack)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: set[socket.socket] = field(default_factory=set)
    _servers: int = 0
    """Connections that are led on now."""
    _is_closed: bool = False
    _dials_from: int | None = None
    """Threads begin where their maker is, which is the container's network."""

    def __enter__(self) -> Self:
        listeners: list[tuple[int, Callable[[socket.socket], None]]] = [(_PORT, self._proxied)]
        # a program asks no proxy for what it takes for its own machine: that is led on as it is
        for host, port in self.named:
            if is_loopback(host) and port != _PORT:
                listeners.append((port, self._straight(host, port)))
        self._dials_from = os.open(self.outside or "/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._undo.callback(os.close, self._dials_from)
        ready: list[BaseException | None] = []
        thread = threading.Thread(target=self._listen, args=(listeners, ready), daemon=True)
        thread.start()
        thread.join()
        if ready:
            self.close()
            raise OSError("no way out") from ready[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        proxy = f"http://127.0.0.1:{_PORT}"
        return {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy}

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            there = list(self._open)
        for one in there:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._undo.close()

    # accepting -----------------------------------------------------------------------------------

    def _listen(
        self, wanted: list[tuple[int, Callable[[socket.socket], None]]], failed: list[BaseException | None]
    ) -> None:
        """By a thread that enters the namespace and goes; its sockets stay there."""
        try:
            libc.setns(self.namespace, libc.CLONE_NEWNET)
            with socket.socket() as loopback:
                fcntl.ioctl(loopback, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
            for port, serve in wanted:
                listener = socket.create_server(("127.0.0.1", port), backlog=_MOST_CONNECTIONS)
                self._undo.callback(listener.close)
                self._undo.callback(_hush, listener)
                threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()
        except OSError as error:
            failed.append(error)

    def _accept(self, listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_closed or len(self._open) >= 2 * _MOST_CONNECTIONS:
                    client.close()
                    continue
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client, serve), daemon=True).start()

    def _serve(self, client: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        try:
            client.settimeout(SILENCE_S)
            serve(client)
        except Turned as turned:
            self._note(turned.said)
            with suppress(OSError):
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (OSError, ValueError):
            pass
        finally:
            self._forget(client)

    def _note(self, said: Said) -> None:
        with self._lock:
            self.why = self.why or said

    def _forget(self, one: socket.socket) -> None:
        with self._lock:
            self._open.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
        one.close()

    # serving -------------------------------------------------------------------------------------

    def _straight(self, host: str, port: int) -> Callable[[socket.socket], None]:
        return lambda client: self._lead(client, host, port, b"")

    def _proxied(self, client: socket.socket) -> None:
        head, rest = _head_of(client)
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        if method == "CONNECT":
            host, port = _place_of(target, 443)
            self._lead(client, host, port, rest, answer=b"HTTP/1.1 200 OK\r\n\r\n")
            return
        if not target.lower().startswith("http://"):
            raise ValueError(target)
        where, slash, path = target[7:].partition("/")
        host, port = _place_of(where, 80)
        if not self.is_plain and (host, port) not in self.plain:
            raise Turned(apps.without_tls(host))
        kept = [one for one in lines[1:] if one and one.split(":")[0].lower() not in _OF_THIS_HOP]
        asked = "\r\n".join([f"{method} {slash or '/'}{path} HTTP/1.1", *kept, "Connection: close", "", ""])
        self._lead(client, host, port, asked.encode("latin-1") + rest)

    def _lead(self, client: socket.socket, host: str, port: int, first: bytes, *, answer: bytes = b"") -> None:
        server = self._dial(host, port)
        with self._lock:
            self._open.add(server)
        try:
            server.settimeout(SILENCE_S)
            if answer:
                client.sendall(answer)
            if first:
                server.sendall(first)
            asking = _Asking()
            back = threading.Thread(target=_pump_back, args=(client, server, asking), daemon=True)
            back.start()
            _pump(server, client, self._count, asking)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            back.join(1)
        except TimeoutError:
            self._note(self.said.silent(host))
        finally:
            self._forget(server)
            with self._lock:
                self._servers -= 1
                # the next program's may be there before the end of this one's is seen
                if self.keeps_one and self._servers == 0:
                    self.unreached_since = self.unreached_since or time.monotonic()

    def _unreached(self) -> None:
        with self._lock:
            self.unreached_since = self.unreached_since or time.monotonic()

    def _count(self, size: int) -> None:
        with self._lock:
            self.received += size
        if self.received > self.most_bytes:
            raise Turned(apps.image_too_large(self.most_bytes >> 20))

    def _dial(self, host: str, port: int) -> socket.socket:
        """Connected to an address that may be dialled: one more that is led on. Raises `Turned`."""
        try:
            found = self._dialled(host, port)
        except Turned:
            self._unreached()
            raise
        with self._lock:
            self.unreached_since = None
            self._servers += 1
        return found

    def _dialled(self, host: str, port: int) -> socket.socket:
        if self._dials_from is not None:
            libc.setns(
                self._dials_from, libc.CLONE_NEWNET
            )  # of this thread alone, which ends with its connection
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as unknown:
            raise Turned(self.said.unknown(host)) from unknown
        if self.only and (host, port) not in self.only:
            raise Turned(self.said.inward(host))
        may_be_inward = (host, port) in self.named
        places = [one for one in found if may_be_inward or is_outward(ip_address(str(one[4][0])))]
        if not places:
            raise Turned(self.said.inward(host))
        until = time.monotonic() + CONNECT_S
        for family, kind, protocol, _, place in places:
            one = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
            one.settimeout(max(0.1, until - time.monotonic()))
            try:
                one.connect(place)
                return one
            except OSError:
                one.close()
        raise Turned(self.said.silent(host))


_OF_THIS_HOP = frozenset(("connection", "proxy-connection", "proxy-authorization", "keep-alive"))


def _hush(listener: socket.socket) -> None:
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept


def is_loopback(host: str) -> bool:
    """Whether programs take this for their own machine, and ask no proxy for it."""
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_loopback
    return host == "localhost"


def is_outward(address: Address) -> bool:
    """Whether everybody may reach it: neither private, link-local, reserved nor this machine's own."""
    inner: Address | None = None
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_outward(inner)
    if address in CLOUD4 or (isinstance(address, IPv6Address) and not _is_given(address)):
        return False
    return address.is_global and not address.is_multicast and not _is_own(address)


def _is_given(address: IPv6Address) -> bool:
    return address in _UNICAST6 and address not in _DOCUMENTS6


def _is_own(address: Address) -> bool:
    """What this machine would send there from the same address is to itself. Nothing is sent. Whether one can
    listen there says nothing: with `ip_nonlocal_bind` (ip(7)) one can anywhere."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), _PORT))
        return ip_address(str(probe.getsockname()[0])) == address
    return False


def _head_of(client: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(_HEAD_BYTES)
        data += piece
        if not piece or len(data) > _HEAD_BYTES:
            raise ValueError("no request")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _place_of(text: str, port: int) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.lower(), port
    return host.lower(), int(number)


class _Asking:
    """When something was last asked: who is being told much says nothing meanwhile."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def now(self, _size: int) -> None:
        self.at = time.monotonic()

    @property
    def is_long_ago(self) -> bool:
        return time.monotonic() > self.at + SILENCE_S


def _pump(
    source: socket.socket, to: socket.socket, count: Callable[[int], None], asking: _Asking | None = None
) -> None:
    """Until one of them ends. Raises TimeoutError for a source that is silent while nothing is asked of it."""
    while True:
        try:
            data = source.recv(_PIECE)
        except TimeoutError:
            if asking is None or asking.is_long_ago:
                raise
            continue
        except OSError:
            return
        if not data:
            return
        count(len(data))
        try:
            to.sendall(data)
        except OSError:
            return


def _pump_back(source: socket.socket, to: socket.socket, asking: _Asking) -> None:
    """What is asked: nobody counts it, and its silence means nothing. Ends with the socket."""
    while True:
        try:
            _pump(source, to, asking.now)
        except TimeoutError:
            continue
        return


def place_of_registry(host: str, *, insecure: bool) -> frozenset[tuple[str, int]]:
    """Hosts and ports of a registry that was named: with its own port, or those of HTTPS and HTTP."""
    name, port = _place_of(host, 443)
    return frozenset(((name, port), (name, 80)) if insecure and port == 443 else ((name, port),))
