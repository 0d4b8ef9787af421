"""Commands in the guest of an own kernel: asked of its agent, over the relay in its container."""

import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.words import advice, agent, kernels
from runtime.errors import RuntimeFault
from runtime.host import libc
from runtime.host.processes import Identity
from runtime.node import Node
from runtime.sandboxes.base import Inner, Shell
from runtime.sandboxes.own import tree
from runtime.sandboxes.own.config import network_change
from runtime.sandboxes.own.inside.frames import Kind, Reader, document, frame
from runtime.sandboxes.own.inside.launch import AGENT_ADDRESS
from runtime.sandboxes.shared import container
from runtime.sandboxes.shared.inner import keep_terminal

_CLIENT = "import sys; sys.path.insert(0, {path!r}); from runtime.sandboxes.own.inside.{module} import main; "
_CLIENT += "sys.exit(main(sys.argv[1:]))"
_CONNECT_S, _PAUSE_S = 5.0, 0.02
#: For a guest that is just starting, too.
_TELL_S = 20.0
_OF_ROOT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "xterm-256color",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "LANG": "C.UTF-8",
    "container": "oci",
}


def words_of(node: Node, module: str, *words: str) -> list[str]:
    """A program of `inside`, on the node: by the node's own Python, without any of its packages."""
    path = str(tree.point(node) / "wadah")
    return [
        os.path.realpath(sys.executable),
        "-I",
        "-S",
        "-B",
        "-c",
        _CLIENT.format(path=path, module=module),
        *words,
    ]


def _running(node: Node, environment_id: UUID) -> Identity:
    first = container.init(node, environment_id)
    if first is None or container.gate(node, environment_id).exists():
        raise RuntimeFault(
            agent.not_running(), code="not_running", next_step=advice.start_it(), retryable=False
        )
    return first


def connect(node: Node, environment_id: UUID) -> socket.socket:
    """To its relay, in its network namespace. Raises `RuntimeFault`."""
    first = _running(node, environment_id)
    found: list[socket.socket] = []

    def work() -> None:
        with suppress(OSError):
            namespace = container.open_namespace(first, "net")
            try:
                libc.setns(namespace, libc.CLONE_NEWNET)
            finally:
                os.close(namespace)
            until = time.monotonic() + _CONNECT_S
            while not found and first.lives and time.monotonic() < until:
                peer = socket.socket(socket.AF_UNIX)
                try:
                    peer.connect(AGENT_ADDRESS)
                    found.append(peer)
                except OSError:  # it begins to listen soon after its start
                    peer.close()
                    time.sleep(_PAUSE_S)

    thread = threading.Thread(target=work, name="own kernel")
    thread.start()
    thread.join()
    if not found:
        raise RuntimeFault(kernels.no_agent(), code="no_agent")
    return found[0]


def command_of(command: Sequence[str], environment: Mapping[str, str] | None, **more: Any) -> dict[str, Any]:
    return {"args": list(command), "env": {**_OF_ROOT, **(environment or {})}, **more}


def inner(
    node: Node,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None,
    pid_file: Path | None,
) -> Inner:
    """As `Sandbox.inner`."""
    peer = connect(node, environment_id)
    with peer:
        peer.settimeout(_CONNECT_S)
        try:
            peer.sendall(document(Kind.START, 0, command_of(command, environment, tty=terminal)))
        except OSError as gone:  # it doesn't read: whoever is root in there may have stopped it
            raise RuntimeFault(kernels.no_agent(), code="no_agent") from gone
        peer.settimeout(None)
        descriptor = os.dup(peer.fileno())
    words = words_of(node, "client", str(descriptor), *([str(pid_file)] if pid_file is not None else []))
    return Inner(words, {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, (descriptor,))


def start_terminal(node: Node, environment_id: UUID, directory: Path, shell: Shell) -> None:
    """As `Sandbox.start_terminal`: its monitor keeps a client, and the shell is inside."""
    first = _running(node, environment_id)
    command = command_of(shell.command, {**shell.environment})
    description = {"first": [first.pid, first.started], "command": command}
    keep_terminal(node, environment_id, directory, shell, description, runtime=words_of(node, "enter"))


def tell(node: Node, spec: EnvironmentSpec) -> None:
    """Name and addresses as the spec has them, to a guest that runs: by the tools of its kernel's tree. One
    that hasn't come so far learns of them at its start. Raises `RuntimeFault`."""
    lines = [f"echo {shlex.quote(spec.name)} >/proc/sys/kernel/hostname", *network_change(spec)]
    words = ["/bin/busybox", "sh", "-c", "\n".join(lines)]
    command = {"args": words, "env": {"PATH": "/sbin:/bin"}, "outside": True}
    with connect(node, spec.id) as peer:
        peer.settimeout(_CONNECT_S)
        reader, said, until = Reader(), b"", time.monotonic() + _TELL_S
        try:
            peer.sendall(document(Kind.START, 0, command) + frame(Kind.INPUT, 0))
            while data := _received(peer, until):
                for kind, _, payload in reader.feed(data):
                    if kind is Kind.EXIT:
                        if payload != b"0":
                            raise RuntimeFault(kernels.not_told(_line(said)), code="not_told")
                        return
                    said = (said + payload)[-2000:]
        except OSError as late:
            raise RuntimeFault(kernels.no_agent(), code="no_agent") from late
    raise RuntimeFault(kernels.no_agent(), code="no_agent")


def _received(peer: socket.socket, until: float) -> bytes:
    """Empty at the end, and at that time, however much there is to read: whoever is root in there may talk
    on."""
    left = until - time.monotonic()
    if left <= 0:
        return b""
    peer.settimeout(left)
    return peer.recv(65_536)


def _line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines() or ["?"]
    return "".join(one for one in lines[-1] if one.isprintable())[:200]
