"""One batch of lines on its way, within an environment's own network.

What answers is a stranger's: all of it together has a deadline, and little is read.
"""

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from runtime.contract import Destination, Receiver
from runtime.contract.said import Said
from runtime.contract.words import shipping
from runtime.errors import RuntimeFault
from runtime.network.within import open_within
from runtime.node import Node
from runtime.shipping.reading import Line
from runtime.shipping.records import DATAGRAM_BYTES, Sender, framed, loki_body, syslog_records

#: For connecting, sending and the answer.
WITHIN_S = 15.0
_ANSWER_CHARACTERS = 200
#: Of an answer of HTTP, with all interim ones before it (RFC 9110, 15.2), which have no end.
_ANSWER_BYTES = 64 * 1024


def send(node: Node, sender: Sender, to: Destination, lines: Sequence[Line]) -> None:
    """Syslog's stream has no answer: what the receiver's kernel took is sent. Raises `RuntimeFault`
    (`logs_not_sent`) with the reason."""
    with ExitStack() as undo:
        connection = _connect(node, sender, to, undo)
        late = threading.Event()

        def end() -> None:
            late.set()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(WITHIN_S, end)
        timer.daemon = True
        timer.start()
        undo.callback(timer.cancel)
        try:
            if to.is_tls:
                connection = undo.enter_context(
                    ssl.create_default_context().wrap_socket(connection, server_hostname=to.host)
                )
            if to.receiver is Receiver.LOKI:
                _push(connection, to, loki_body(sender, lines))
            elif to.is_stream:
                connection.sendall(framed(syslog_records(sender, lines)))
            else:
                for record in syslog_records(sender, lines):
                    connection.send(record[:DATAGRAM_BYTES])
        except ssl.SSLCertVerificationError as error:
            raise _fault(shipping.not_vouched_for(to.host, error.verify_message)) from error
        except (OSError, http.client.HTTPException) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise _fault(shipping.too_slow(to.host, WITHIN_S)) from error
            raise _fault(shipping.not_reached(to.host, to.port, _why(error))) from error


def _connect(node: Node, sender: Sender, to: Destination, undo: ExitStack) -> socket.socket:
    kind = socket.SOCK_STREAM if to.is_stream else socket.SOCK_DGRAM
    try:
        found = socket.getaddrinfo(sender.hosts.get(to.host, to.host), to.port, type=kind)
    except (OSError, UnicodeError) as error:
        raise _fault(shipping.unknown_host(to.host)) from error
    places = [(one[0], one[4]) for one in found if one[0] in (socket.AF_INET, socket.AF_INET6)][:4]
    said = shipping.unknown_host(to.host)
    sockets = open_within(node, sender.environment_id, [(family, kind) for family, _ in places], undo)
    for one, (_, address) in zip(sockets, places, strict=False):
        one.settimeout(WITHIN_S / 3)
        try:
            one.connect(address)
        except OSError as error:
            said = shipping.not_reached(to.host, to.port, _why(error))
            continue
        return one
    raise _fault(said)


def _push(connection: socket.socket, to: Destination, body: bytes) -> None:
    client = http.client.HTTPConnection(to.host, to.port)
    client.sock = connection
    client.response_class = _Answer
    client.request("POST", to.path, body, {"Content-Type": "application/json", "User-Agent": "wadah"})
    answer = client.getresponse()
    if not 200 <= answer.status < 300:
        text = answer.read(_ANSWER_CHARACTERS).decode(errors="replace")
        plain = "".join(one if one.isprintable() else " " for one in text).strip()
        raise _fault(shipping.refused(to.host, answer.status, plain))


class _Answer(http.client.HTTPResponse):
    """One that ends: reading it keeps the agent's other threads waiting."""

    def __init__(self, sock: socket.socket, *given: Any, **named: Any):
        super().__init__(sock, *given, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Bounded(sock), 4096)


class _Bounded(io.RawIOBase):
    def __init__(self, source: socket.socket):
        self._source, self._left = source, _ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if self._left <= 0:
            raise http.client.HTTPException
        got = self._source.recv_into(memoryview(into)[: self._left])
        self._left -= got
        return got


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "what it answered is no HTTP"


def _fault(said: Said) -> RuntimeFault:
    return RuntimeFault(said, code="logs_not_sent")
