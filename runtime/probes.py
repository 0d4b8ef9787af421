"""Asks an app once how it is: by a command inside, or by a connection within its own network.

What answers is a stranger's: there is a deadline for all of it together, and little is read.
"""

import re
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from runtime.console.exec import run_command
from runtime.contract import EnvironmentSpec, HealthCheck, HttpProbe
from runtime.network.within import open_within
from runtime.node import Node

_OUTPUT = 200
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_MOST_BYTES = 1024


@dataclass(frozen=True)
class Answer:
    is_well: bool
    said: str
    """For people: text of the app's own, one line of letters that are seen."""


def ask(node: Node, spec: EnvironmentSpec, check: HealthCheck) -> Answer:
    """Raises `RuntimeFault` when nothing could be asked: it doesn't run any more."""
    if check.command is not None:
        return _by_command(node, spec.id, check)
    return _by_connection(node, spec, check)


def _by_command(node: Node, environment_id: UUID, check: HealthCheck) -> Answer:
    assert check.command is not None
    done = run_command(node, environment_id, check.command, timeout_s=check.timeout_s)
    if done.timed_out:
        return Answer(False, f"no end within {check.timeout_s:g} s")
    said = _plain(done.stdout[-4 * _OUTPUT :]) or _plain(done.stderr[-4 * _OUTPUT :])
    if done.exit_code == 0:
        return Answer(True, said)
    return Answer(False, f"{done.exit_code}: {said}"[:_OUTPUT] if said else f"exit code {done.exit_code}")


def _plain(text: bytes) -> str:
    words = "".join(one if one.isprintable() else " " for one in text.decode(errors="replace"))
    return " ".join(words.split())[:_OUTPUT]


def _by_connection(node: Node, spec: EnvironmentSpec, check: HealthCheck) -> Answer:
    """Healthy: somebody there accepts it, and answers well where HTTP is asked for."""
    until = time.monotonic() + check.timeout_s
    port = check.http.port if check.http is not None else check.tcp
    places = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    places += [(socket.AF_INET, str(one)) for one in spec.network.ipv4[:1]]
    places += [(socket.AF_INET6, str(one)) for one in spec.network.ipv6[:1]]
    said = "nobody listens"
    with ExitStack() as undo:
        sockets = open_within(node, spec.id, [(family, socket.SOCK_STREAM) for family, _ in places], undo)
        for one, (_, place) in zip(sockets, places, strict=False):
            one.settimeout(max(0.01, until - time.monotonic()))
            try:
                one.connect((place, port))
            except ConnectionRefusedError:
                continue
            except OSError as error:
                said = f"port {port}: {error.strerror or 'no answer in time'}"
                continue
            return Answer(True, "") if check.http is None else _by_http(one, check.http, until)
    return Answer(False, said)


def _by_http(connection: socket.socket, http: HttpProbe, until: float) -> Answer:
    """By the first line of its answer; the rest isn't read."""
    words = f"GET {http.path} HTTP/1.0\r\nHost: localhost:{http.port}\r\nUser-Agent: wadah\r\n\r\n"
    heard = b""
    try:
        connection.sendall(words.encode())
        while b"\n" not in heard and len(heard) < _MOST_BYTES:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            more = connection.recv(_MOST_BYTES)
            if not more:
                break
            heard += more
    except OSError:
        return Answer(False, "no answer in time" if time.monotonic() >= until else "it hung up")
    found = _STATUS_LINE.match(heard)
    if found is None:
        return Answer(False, "what it answered is no HTTP")
    return Answer(found[1][:1] in (b"2", b"3"), f"HTTP {found[1].decode()}")
