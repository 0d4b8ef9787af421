"""What `doctor` says of sockets is what the kernel holds."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from runtime.install import doctor
from runtime.install.front import Front
from runtime.install.layout import Layout
from runtime.install.sockets import Listener, listeners, processes_of


@pytest.mark.parametrize(
    ("family", "kind", "host", "reach"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1", "this machine only"),
        (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0", "whoever reaches any address of this machine"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::", "whoever reaches any address of this machine"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "::1", "this machine only"),
        (socket.AF_INET, socket.SOCK_DGRAM, "0.0.0.0", "whoever reaches any address of this machine"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::ffff:0.0.0.0", "whoever reaches any address of this machine"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::ffff:127.0.0.1", "this machine only"),
    ],
)
def test_a_socket_and_who_reaches_it(
    family: socket.AddressFamily, kind: socket.SocketKind, host: str, reach: str
) -> None:
    with socket.socket(family, kind) as one:
        one.bind((host, 0))
        if kind is socket.SOCK_STREAM:
            one.listen()
        port = one.getsockname()[1]
        name = "tcp" if kind is socket.SOCK_STREAM else "udp"
        found = [seen for seen in listeners([os.getpid()]) if seen.port == port]
        address = host.removeprefix("::ffff:")
        assert [(seen.kind, seen.address, seen.reached_by) for seen in found] == [(name, address, reach)]
    assert not [seen for seen in listeners([os.getpid()]) if seen.port == port]


def test_one_that_is_only_connected_is_none() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        assert one.getsockname()[1] not in [seen.port for seen in listeners([os.getpid()])]


@pytest.mark.parametrize(("mode", "reach"), [(0o600, "root"), (0o666, "every user of this machine")])
def test_a_file_and_its_mode(tmp_path: Path, mode: int, reach: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / f".a.sock.{os.getpid()}"))
        one.listen()
        (tmp_path / f".a.sock.{os.getpid()}").rename(tmp_path / "a.sock")
        (tmp_path / "a.sock").chmod(mode)
        found = [seen for seen in listeners([os.getpid()]) if seen.address == str(tmp_path / "a.sock")]
        assert len(found) == 1
        assert found[0].reached_by.startswith(reach)


def test_what_nobody_asked_for_is_weak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "http://127.0.0.1:8080"
    monkeypatch.setattr(doctor, "front_of", lambda _: Front(url, own=url, bind=("127.0.0.1",)))
    monkeypatch.setattr(doctor, "processes_of", lambda _: [])
    seen = [
        Listener(7, "tcp", "127.0.0.1", 8080),
        Listener(7, "tcp", "::", 8080),
        Listener(8, "udp", "0.0.0.0", 53),
    ]
    monkeypatch.setattr(doctor, "listeners", lambda _: seen)
    levels = [check.level for check in doctor._sockets(Layout(tmp_path))]
    assert levels == ["ok", "weak", "weak"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_another_users_process_is_not_taken_for_ours(tmp_path: Path) -> None:
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat"]
    environment = {**os.environ, "WADAH_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as his:
        assert his.stdin is not None
        assert his.stdout is not None
        his.stdin.write(b"x")
        his.stdin.flush()
        assert his.stdout.read(1) == b"x"  # it is `cat` by now, as that user
        assert his.pid not in processes_of(Layout(tmp_path))
        his.stdin.close()
