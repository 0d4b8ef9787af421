"""What the users of the installation's own Redis may do, asked of a real Redis with the same ACL file."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from runtime.install import broker


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("redis")
    rights = {"admin": broker._ADMIN, "panel": broker._PANEL, "node": broker.node_rights("n1")}
    users = [broker._user(name, f"password of {name}", words) for name, words in rights.items()]
    (directory / "acl").write_text("user default off\n" + "\n".join(users) + "\n")
    socket = directory / "sock"
    words = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        socket,
        "--save",
        "",
        "--aclfile",
        directory / "acl",
    ]
    process = subprocess.Popen(words, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 30
        while not socket.exists() and time.monotonic() < until:
            assert process.poll() is None, process.stdout and process.stdout.read().decode()
            time.sleep(0.02)
        yield socket
    finally:
        process.terminate()
        process.wait(30)


def _as(server: Path, user: str) -> "redis.Redis":
    return redis.Redis(unix_socket_path=str(server), username=user, password=f"password of {user}")


def _refused(act: object, *words: object) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        act(*words)  # type: ignore[operator]


def test_nobody_without_a_name_may_do_anything(server: Path) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=str(server)).ping()


def test_the_node_reads_its_own_queues(server: Path) -> None:
    panel, node = _as(server, "panel"), _as(server, "node")
    for queue in ("node.n1", "node.n1\x06\x163", "node.n1.slow"):
        panel.lpush(queue, "work")
        assert node.brpop([queue], 5) == (queue.encode(), b"work")
    node.hset("unacked.node.n1", "tag", "message")
    assert node.hgetall("unacked.node.n1") == {b"tag": b"message"}


def test_the_node_reports_but_does_not_read_or_empty_the_panels_queue(server: Path) -> None:
    node = _as(server, "node")
    with node.pipeline(transaction=True) as pipe:
        pipe.lpush("panel", "report").lpush("panel\x06\x163", "report")
        pipe.execute()
    _refused(node.lrange, "panel", 0, -1)
    _refused(node.rpop, "panel")
    _refused(node.delete, "panel")
    assert _as(server, "panel").rpop("panel") == b"report"


def test_the_node_sees_nothing_of_others(server: Path) -> None:
    node = _as(server, "node")
    for key in ("node.n2", "node.n11", "unacked.panel", ":1:session", "wadah:1:x"):
        _refused(node.get, key)
        _refused(node.lpush, key, "x")
    _refused(node.publish, "wadah__group__platform", "x")
    _refused(node.keys, "*")


@pytest.mark.parametrize("user", ["panel", "node"])
@pytest.mark.parametrize(
    "words",
    ["FLUSHALL", "CONFIG GET dir", "CONFIG SET dir /etc", "SHUTDOWN NOSAVE", "ACL LIST", "MONITOR",
     "REPLICAOF 127.0.0.1 1", "MODULE LIST", "SAVE", "CLIENT LIST"],
)  # fmt: skip
def test_neither_half_rules_the_server(server: Path, user: str, words: str) -> None:
    _refused(_as(server, user).execute_command, *words.split())
