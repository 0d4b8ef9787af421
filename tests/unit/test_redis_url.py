"""Whatever way Redis is reached, it is by our own transport, and by TLS only with a checked certificate."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from panel.config.env import PanelEnv
from runtime.contract import transport
from runtime.contract.redis_url import broker_url, check, client_url

WAYS = ["redis://h", "redis://u:p@h:1/0", "rediss://h", "rediss://u:p@h:1?ssl_ca_certs=/ca.pem", "unix:///run/r.sock",
        "unix://u:p@/run/r.sock", "redis+socket:///run/r.sock"]  # fmt: skip


@pytest.mark.parametrize("url", [*WAYS, "REDISS://h"])
def test_every_way_leads_to_our_transport(url: str) -> None:
    connection = Connection(broker_url(url))
    assert connection.get_transport_cls() is transport.Transport
    assert connection.get_transport_cls().Channel is transport.Channel
    assert bool(connection.ssl) is url.lower().startswith("rediss")


def test_no_other_transport_is_known() -> None:
    assert set(TRANSPORT_ALIASES) == {"redis", "rediss"}
    for url in (
        "sentinel://h",
        "amqp://h",
        "memory://",
        "sqla+sqlite:///x",
        "filesystem://",
        "sentinel://h;redis://h",
    ):
        with pytest.raises((KeyError, ValueError)):
            Connection(url).get_transport_cls()
    assert Connection("rediss+socket:///x").get_transport_cls() is transport.Transport


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://h:26379", "Sentinel isn't spoken"),
        ("amqp://secret:secret@h", "begins with redis://"),
        ("memory://", "begins with redis://"),
        ("rediss+socket:///x", "begins with redis://"),
        ("redis://secret@a;redis://b", "is one, not several"),
        ("redis://a,b", "is one, not several"),
        ("redis://", "lacks a host"),
        ("redis://h:99999", "can't be read"),
        ("redis://h/3", "names no database"),
        ("redis://h?db=3", "isn't known: db"),
        ("redis://h?ssl_ca_certs=/x", "isn't known: ssl_ca_certs"),
        ("rediss://h?ssl_cert_reqs=none", "always checked"),
        ("rediss://h?ssl_cert_reqs=CERT_OPTIONAL", "always checked"),
        ("rediss://h?ssl_check_hostname=false", "isn't known: ssl_check_hostname"),
        ("unix://", "unix:///PATH"),
        ("unix:///x?db=3", "without options"),
    ],
)
def test_what_else_is_said_is_refused_with_a_sentence(url: str, said: str) -> None:
    for read in (check, broker_url, client_url):
        with pytest.raises(ValueError, match=said) as caught:
            read(url)
        assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match=said):
        PanelEnv(redis_url=url)


@pytest.mark.parametrize("url", WAYS)
def test_panel_and_node_mean_the_same_by_it(url: str) -> None:
    """Broker and cache in databases of their own."""
    wadah = PanelEnv(redis_url=url)
    assert wadah.broker_url == broker_url(url)
    pool = redis.ConnectionPool.from_url(wadah.cache_url)
    assert pool.connection_kwargs["db"] == 1
    assert pool.connection_kwargs.get("ssl_cert_reqs", "required") == "required"


@contextmanager
def _redis_by_tls(directory: Path) -> Iterator[int]:
    """Its port; `ca.pem` in the directory is its authority, and its certificate is for 127.0.0.1."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True, timeout=60)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    own = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    openssl("req", "-x509", *new, *own)
    openssl("req", *new, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=redis")
    (directory / "ext").write_text("subjectAltName=IP:127.0.0.1")
    openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "cert.pem", "-days", "2", "-extfile", "ext")  # fmt: skip
    from tests.support.ports import free_port

    port = free_port()
    files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem")
    words = ["redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", *files]
    words += ["--tls-auth-clients", "no", "--save", ""]
    process = subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis.from_url(client_url(f"rediss://127.0.0.1:{port}?ssl_ca_certs={directory}/ca.pem"))
        until = time.monotonic() + 20
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.02)
            else:
                break
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def by_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    directory = tmp_path_factory.mktemp("tls")
    with _redis_by_tls(directory) as port:
        yield port, directory / "ca.pem"


def test_a_forged_queue_is_of_no_use_by_tls_either(by_tls: tuple[int, Path]) -> None:
    """F22, as on the socket: what stays unacknowledged goes back where it was read."""
    port, authority = by_tls
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority}"
    forged: dict[str, Any] = {"body": "W10=", "content-type": "application/json", "content-encoding": "utf-8"}
    delivery = {"exchange": "", "routing_key": "node.n2"}
    forged["headers"] = {"task": "runtime.apply", "id": "1"}
    forged["properties"] = {
        "delivery_info": delivery,
        "delivery_tag": "1",
        "priority": 0,
        "body_encoding": "base64",
    }
    client = redis.Redis.from_url(client_url(url).replace(f"{port}/1", f"{port}/0"))
    client.lpush("reports", "no message at all", json.dumps(forged))
    app = Celery(broker=broker_url(url))
    app.conf.broker_transport_options = transport.transport_options("panel")
    with app.connection() as connection:
        seen: list[Any] = []
        with connection.Consumer(Queue("reports"), callbacks=[lambda _, message: seen.append(message)]):
            for _ in range(2):
                connection.drain_events(timeout=10)
                if seen:
                    break
        assert seen[0].delivery_info["routing_key"] == "reports"
        transport.take_back(connection)
    assert client.llen("node.n2") == 0
    assert client.llen("reports") == 1


@pytest.mark.parametrize("url", ["rediss://127.0.0.1:{port}", "rediss://localhost:{port}?ssl_ca_certs={authority}",
                                 "rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none"])  # fmt: skip
def test_a_redis_that_cannot_prove_itself_is_not_spoken_to(by_tls: tuple[int, Path], url: str) -> None:
    """Given to kombu as it is: even past our own reading of it."""
    text = url.format(port=by_tls[0], authority=by_tls[1])
    with pytest.raises(OperationalError, match="certificate"), Connection(text) as connection:
        connection.ensure_connection(max_retries=0, timeout=5)
        connection.default_channel.client.ping()
