"""What the users of the installation's own Redis may do, asked of a real Redis with the same ACL file."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Queue

from runtime.contract import PANEL_OBSERVE, PANEL_QUEUE, REPORT_QUEUE
from runtime.contract.transport import refuse_strangers, take_back, transport_options
from runtime.install import redis_config
from runtime.install.layout import Layout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("redis")
    rights = {
        "admin": redis_config._ADMIN,
        "panel": redis_config._PANEL,
        "node": redis_config.node_rights("n1"),
    }
    users = [redis_config._user(name, f"password of {name}", words) for name, words in rights.items()]
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


def test_the_node_reports_but_does_not_read_or_empty_what_was_reported(server: Path) -> None:
    node = _as(server, "node")
    with node.pipeline(transaction=True) as pipe:
        pipe.lpush("reports", "report").lpush("reports\x06\x163", "report")
        pipe.execute()
    _refused(node.lrange, "reports", 0, -1)
    _refused(node.rpop, "reports")
    _refused(node.delete, "reports")
    assert _as(server, "panel").rpop("reports") == b"report"


def test_f22_a_report_is_put_back_where_it_was_read_whatever_its_sender_wrote(server: Path) -> None:
    """What nobody acknowledged goes back by the way that the message names: not into another node's queue."""
    forged = {
        "body": "W10=",
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "runtime.apply", "id": "1"},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": "node.n2"},
            "delivery_tag": "1",
            "priority": 0,
            "body_encoding": "base64",
        },
    }
    _as(server, "node").lpush("reports", json.dumps(forged))
    app = Celery(broker=f"redis+socket://panel:password of panel@{server}")
    app.conf.broker_transport_options = transport_options("panel")
    with app.connection() as connection:
        seen: list[Any] = []
        with connection.Consumer(Queue("reports"), callbacks=[lambda _, message: seen.append(message)]):
            connection.drain_events(timeout=10)
        assert seen[0].delivery_info["routing_key"] == "reports"
        take_back(connection)
    panel = _as(server, "panel")
    assert panel.llen("node.n2") == 0
    assert panel.rpop("reports") is not None


def test_f22_of_the_panels_tasks_a_node_reaches_none_but_reports(server: Path) -> None:
    _refused(_as(server, "node").lpush, "panel", "work")
    refuse_strangers(PANEL_OBSERVE, REPORT_QUEUE)
    refuse_strangers("panel.delete_tenants", PANEL_QUEUE)
    with pytest.raises(ValueError, match="is no report"):
        refuse_strangers("panel.delete_tenants", REPORT_QUEUE)


def test_the_node_sees_nothing_of_others(server: Path) -> None:
    node = _as(server, "node")
    for key in ("panel", "node.n2", "node.n11", "unacked.panel", ":1:session", "wadah:1:x"):
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


@pytest.mark.parametrize(
    "words",
    [
        "SCAN 0", "RANDOMKEY", "DBSIZE", "SELECT 1", "SCRIPT FLUSH", "SCRIPT LOAD x", "FUNCTION FLUSH",
        "FUNCTION LIST", "EVAL while(true)do(end)end 0", "EVALSHA x 0", "SETBIT node.n1.b 4294967295 1",
        "SETRANGE node.n1.r 536870911 x", "APPEND node.n1.a x", "SORT node.n1", "COPY node.n1 node.n1.c",
        "XADD node.n1.s * a b", "BITFIELD node.n1.b SET u8 0 1", "OBJECT FREQ node.n1", "DUMP node.n1",
        "CLIENT TRACKING on", "WATCH panel", "EXISTS panel", "SMEMBERS _kombu.binding.panel",
    ],
)  # fmt: skip
def test_a_stolen_nodes_user_has_what_its_worker_sends_and_no_more(server: Path, words: str) -> None:
    """By one bit far out it took 512 MB of the server's memory, by a script all of its time, and SCAN told it
    the names of others' queues and of what the panel keeps."""
    _refused(_as(server, "node").execute_command, *words.split())


def test_the_node_takes_back_what_a_killed_worker_had(server: Path) -> None:
    """Also what nobody acknowledged for long, which asks for a lock: without a script, which it may not run."""
    node = f"redis+socket://node:password of node@{server}"
    app = Celery(broker=node)
    app.conf.broker_transport_options = transport_options("node.n1", visibility_s=0)
    with app.connection() as connection:
        with connection.Producer() as producer:
            producer.publish({"a": 1}, routing_key="node.n1", declare=[Queue("node.n1")])
        seen: list[Any] = []
        with connection.Consumer(Queue("node.n1"), callbacks=[lambda _, message: seen.append(message)]):
            connection.drain_events(timeout=10)
            time.sleep(0.01)
            connection.default_channel.qos.restore_visible(interval=1)
            take_back(connection)
    panel = _as(server, "panel")
    assert panel.llen("node.n1") == 1
    assert panel.exists("unacked_mutex.node.n1") == 0
    panel.delete("node.n1")


def test_its_memory_has_an_end(tmp_path: Path) -> None:
    text = redis_config._configuration(Layout(tmp_path))
    found = next(line for line in text.splitlines() if line.startswith("maxmemory "))
    assert 128 * 2**20 <= int(found.split()[1]) <= 2 * 2**30
