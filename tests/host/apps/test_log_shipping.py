"""What a running app writes reaches whom its tenant named: from within its own network, each line once."""

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from runtime.agent.log_shipping import LogShippingWatch
from runtime.contract import DesiredState, EnvironmentSpec, LogShipping, LogsSeen, LogsState, Report
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.network.within import open_within
from runtime.node import Node
from runtime.shipping import sending
from runtime.shipping.noted import noted
from runtime.state import Records
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.waiting import wait_until
from tests.support.registry import Hub, busybox

TALK = "i=0; while :; do i=$((i+1)); echo line $i; echo oops $i >&2; sleep 0.2; done"


@pytest.fixture(scope="session")
def talker(hub: Hub, node: Node) -> str:
    config = {"Entrypoint": ["/bin/sh", "-c", TALK], "Env": ["PATH=/bin"]}
    return hub.push("lib/talker:1", busybox(), config=config)


class Heard:
    """A server in the app's own network; each connection is read to its end, and answered with `answer`."""

    def __init__(
        self, listener: socket.socket, answer: bytes = b"", tls: ssl.SSLContext | None = None, drip: bytes = b""
    ):
        self.data, self.answer, self.tls, self.drip = b"", answer, tls, drip
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with suppress(OSError), client:
                    client.settimeout(20)
                    for one in self.drip:
                        client.sendall(bytes([one]))
                        time.sleep(0.5)
                    stream = self.tls.wrap_socket(client, server_side=True) if self.tls else client
                    self._hear(stream)

    def _hear(self, client: socket.socket) -> None:
        heard = b""
        while piece := client.recv(65536):
            heard += piece
            if self.answer and self._is_whole(heard):
                client.sendall(self.answer)
                break
        self.data += heard

    @staticmethod
    def _is_whole(request: bytes) -> bool:
        head, found, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: ([0-9]+)", head, re.IGNORECASE)
        return bool(found and length and len(body) >= int(length[1]))


@contextmanager
def listening(
    node: Node,
    spec: EnvironmentSpec,
    port: int,
    answer: bytes = b"",
    tls: ssl.SSLContext | None = None,
    drip: bytes = b"",
) -> Iterator[Heard]:
    with ExitStack() as undo:
        [listener] = open_within(node, spec.id, [(socket.AF_INET, socket.SOCK_STREAM)], undo)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(16)
        yield Heard(listener, answer, tls, drip)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def watch(node: Node, engine: Engine) -> Iterator[LogShippingWatch]:
    made = LogShippingWatch(node, lambda: engine)
    made.start()
    yield made
    made.close()


def seen(node: Node, spec: EnvironmentSpec) -> LogsSeen:
    assert spec.app is not None
    assert spec.app.logs is not None
    return noted(node, spec.id, spec.app.logs.to).seen


def changed(engine: Engine, spec: EnvironmentSpec, to: str | None) -> EnvironmentSpec:
    """Another destination, without a restart."""
    assert spec.app is not None
    logs = LogShipping(to=to) if to else None
    app = spec.app.model_copy(update={"logs": logs})
    new = spec.model_copy(update={"generation": spec.generation + 1, "app": app})
    report = engine.apply(new)
    assert report is not None
    assert not report.code, report.message
    return new


def frames(heard: bytes) -> list[bytes]:
    """Of syslog on a stream, each by its length."""
    found = []
    while heard:
        length, _, rest = heard.partition(b" ")
        found.append(rest[: int(length)])
        heard = rest[int(length) :]
    return found


def numbers(heard: bytes, word: bytes) -> list[int]:
    return [int(one.rpartition(b" ")[2]) for one in frames(heard) if word + b" " in one]


def test_each_line_comes_once_over_a_receiver_that_was_away(
    make: Make, node: Node, app_of: AppOf, talker: str, watch: LogShippingWatch, reports: list[Report]
) -> None:
    spec = make(**app_of(talker, logs=LogShipping(to="syslog+tcp://127.0.0.1:5514", tag="talk")))
    records = Records(node, spec.id)
    watch.look(records)
    wait_until(lambda: seen(node, spec).state is LogsState.FAILING, "nobody there")
    assert "127.0.0.1, port 5514" in seen(node, spec).message
    with listening(node, spec, 5514) as heard:
        wait_until(lambda: numbers(heard.data, b"line")[-1:] >= [20], "what was written meanwhile")
        assert seen(node, spec).state is LogsState.SENT
    first = heard.data
    wait_until(lambda: seen(node, spec).state is LogsState.FAILING, "nobody there again")
    with listening(node, spec, 5514) as heard:
        wait_until(lambda: len(numbers(heard.data, b"line")) > 5, "what came after")
        wait_until(lambda: seen(node, spec).state is LogsState.SENT, "told so")
    both = first + heard.data
    for word in (b"line", b"oops"):
        got = numbers(both, word)
        assert got == sorted(set(got)), "none twice, all in order"
        assert got[0] == 1
        # what the kernel had taken when the receiver went may be lost, as syslog over TCP has it
        assert len(got) >= got[-1] - 15
    assert re.fullmatch(rb"<14>1 [0-9T:.+-]{32} \S+ talk - stdout - line 1", frames(both)[0])

    def is_told() -> bool:
        told = [one.app.logs.state for one in list(reports) if one.app is not None and one.app.logs is not None]
        return LogsState.FAILING in told and LogsState.SENT in told[told.index(LogsState.FAILING) :]

    wait_until(is_told, "the report that it is sent again")


def test_loki_hears_both_streams_and_what_it_answers_is_told(
    make: Make, node: Node, engine: Engine, app_of: AppOf, talker: str, watch: LogShippingWatch
) -> None:
    spec = make(**app_of(talker))
    watch.look(Records(node, spec.id))
    spec = changed(engine, spec, "loki+http://127.0.0.1:3100")
    with listening(node, spec, 3100, b"HTTP/1.1 429 Too Many\r\nContent-Length: 4\r\n\r\nslow") as heard:
        watch.look(Records(node, spec.id))
        wait_until(lambda: "429: slow" in seen(node, spec).message, "its answer")
    with listening(node, spec, 3100, b"HTTP/1.1 204 No Content\r\n\r\n") as heard:
        wait_until(lambda: seen(node, spec).state is LogsState.SENT, "taken")
    head, _, body = heard.data.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /loki/api/v1/push HTTP/1.1\r\n")
    streams = json.JSONDecoder().raw_decode(body.decode())[0]["streams"]
    assert [one["stream"]["stream"] for one in streams] == ["stdout", "stderr"]
    assert streams[0]["values"][0][1] == "line 1"
    spec = changed(engine, spec, None)
    watch.look(Records(node, spec.id))
    assert engine.current_report(spec.id).app.logs is None  # type: ignore[union-attr]


def test_a_receiver_that_takes_nothing_is_given_up_and_one_that_nobody_vouches_for_gets_nothing(
    make: Make,
    node: Node,
    engine: Engine,
    app_of: AppOf,
    talker: str,
    watch: LogShippingWatch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make(**app_of(talker, logs=LogShipping(to="loki+http://127.0.0.1:3100")))
    with listening(node, spec, 3100):  # it never answers
        watch.look(Records(node, spec.id))
        wait_until(lambda: "took the connection" in seen(node, spec).message, "its deadline")
    monkeypatch.setattr(sending, "WITHIN_S", 3.0)
    spec = changed(engine, spec, "loki+https://127.0.0.1:3101")
    with listening(node, spec, 3101, drip=b"\x16\x03\x03\x40\x00" + bytes(200)):  # a greeting without end
        watch.look(Records(node, spec.id))
        wait_until(lambda: "took the connection" in seen(node, spec).message, "its deadline", within_s=20)
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    subprocess.run(
        [*words.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        timeout=30,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    spec = changed(engine, spec, "syslog+tls://127.0.0.1:6514")
    with listening(node, spec, 6514, tls=tls) as heard:
        watch.look(Records(node, spec.id))
        wait_until(lambda: "vouches" in seen(node, spec).message, "its certificate")
    assert heard.data == b""


def test_nothing_of_the_nodes_own_network_hears_it(
    make: Make, node: Node, app_of: AppOf, talker: str, watch: LogShippingWatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        spec = make(**app_of(talker, logs=LogShipping(to=f"syslog+tcp://127.0.0.1:{port}")))
        watch.look(Records(node, spec.id))
        wait_until(lambda: seen(node, spec).state is LogsState.FAILING, "nobody there")
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_it_ends_with_the_app_and_goes_on_with_its_next_start(
    make: Make, node: Node, engine: Engine, app_of: AppOf, talker: str, watch: LogShippingWatch
) -> None:
    spec = make(**app_of(talker, logs=LogShipping(to="syslog+tcp://127.0.0.1:5514")))
    watch.look(Records(node, spec.id))
    spec = spec.model_copy(update={"generation": spec.generation + 1, "desired": DesiredState.STOPPED})
    engine.apply(spec)
    watch.look(Records(node, spec.id))
    with watch._turns.lock:
        assert watch._turns.get(spec.id) is None
    with pytest.raises(RuntimeFault), ExitStack() as undo:
        open_within(node, spec.id, [(socket.AF_INET, socket.SOCK_STREAM)], undo)
    spec = spec.model_copy(update={"generation": spec.generation + 1, "desired": DesiredState.RUNNING})
    engine.apply(spec)
    with listening(node, spec, 5514) as heard:
        watch.look(Records(node, spec.id))
        wait_until(lambda: len(numbers(heard.data, b"line")) > 5, "both starts")
    assert numbers(heard.data, b"line")[0] == 1
