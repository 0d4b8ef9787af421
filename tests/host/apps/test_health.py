"""An app is asked how it is: inside, and by connections that leave its own network at no time."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.agent.health import HealthWatch
from runtime.contract import EnvironmentSpec, EventCode, Health, HealthState, Report, check_of
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.probes import Answer, ask
from runtime.state import Records
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until
from tests.support.registry import Hub, busybox

SERVER = "mkdir -p /www/a; echo hi >/www/a/index.html; httpd -p 8080 -h /www; exec sleep 3600"


@pytest.fixture(scope="session")
def server_image(hub: Hub, node: Node) -> str:
    return hub.push(
        "lib/health:1",
        busybox(),
        config={
            "Entrypoint": ["/bin/sh", "-c", SERVER],
            "Env": ["PATH=/bin"],
            "Healthcheck": {"Test": ["CMD-SHELL", "test -e /well || { echo not yet; exit 1; }"], "Retries": 1},
        },
    )


@pytest.fixture
def app(make: Make, node: Node, app_of: AppOf, server_image: str) -> EnvironmentSpec:
    spec = make(**app_of(server_image))
    wait_until(lambda: _ask(node, spec, tcp=8080).is_well, "the server")
    return spec


def _ask(node: Node, spec: EnvironmentSpec, **health: Any) -> Answer:
    check = check_of(Health.model_validate(health), None)
    assert check is not None
    return ask(node, spec, check)


def test_each_way_of_asking_tells_well_from_ill(node: Node, app: EnvironmentSpec) -> None:
    assert _ask(node, app, command="echo fine; id -u") == Answer(True, "fine 0")
    assert _ask(node, app, command="printf 'a\\033[31m\\nb' >&2; exit 3") == Answer(False, "3: a [31m b")
    assert _ask(node, app, command=["/none"]).said.startswith("127")
    assert _ask(node, app, http="8080/a/") == Answer(True, "HTTP 200")
    assert _ask(node, app, http="8080/none") == Answer(False, "HTTP 404")
    assert _ask(node, app, http=81) == Answer(False, "nobody listens")
    assert not _ask(node, app, tcp=81).is_well


def test_what_hangs_or_floods_ends_at_its_deadline(node: Node, app: EnvironmentSpec) -> None:
    sh(node, app, "(while :; do nc -l -p 81 -e sleep 100; done) >/dev/null 2>&1 &")
    sh(node, app, "(while :; do nc -l -p 82 -e yes; done) >/dev/null 2>&1 &")
    wait_until(lambda: _ask(node, app, tcp=81).is_well and _ask(node, app, tcp=82).is_well, "both to listen")
    begun = time.monotonic()
    assert _ask(node, app, http=81, timeout=1).is_well is False
    assert _ask(node, app, http=82, timeout=1).said in (
        "what it answered is no HTTP",
        "nobody listens",
        "it hung up",
    )
    assert _ask(node, app, command="trap '' TERM HUP; sleep 100 & sleep 100", timeout=1).is_well is False
    loud = _ask(node, app, command="yes | head -c 3000000; exit 1")
    assert (loud.is_well, len(loud.said) <= 200) == (False, True)
    assert time.monotonic() - begun < 60
    assert "sleep 100" not in sh(node, app, "ps | grep -v nc | grep -v grep | grep 'trap' || true")


def test_nothing_of_the_nodes_network_is_asked(node: Node, app: EnvironmentSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 5):
            pass  # there it is, where the agent lives
        assert _ask(node, app, tcp=port) == Answer(False, "nobody listens")


class _Told:
    """A watch beside an engine whose reports are kept."""

    def __init__(self, node: Node):
        self.reports: list[Report] = []
        self.watch = HealthWatch(node, lambda: Engine(node, self.reports.append), self._again)
        self._node = node

    def _again(self, environment_id: Any, delay_s: float) -> None:
        time.sleep(delay_s)
        Engine(self._node, self.reports.append).again(environment_id)

    def look(self, spec: EnvironmentSpec) -> None:
        self.watch.look(Records(self._node, spec.id))


@pytest.fixture
def told(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Told]:
    monkeypatch.setattr("runtime.agent.health._FIRST_S", 0.05)
    monkeypatch.setattr("runtime.agent.health.STARTING_EVERY_S", 0.2)
    monkeypatch.setattr("runtime.contract.health.LEAST_INTERVAL_S", 0.2)
    monkeypatch.setattr("runtime.contract.health.DEFAULT_INTERVAL_S", 0.2)
    one = _Told(node)
    one.watch.start()
    yield one
    one.watch.close()


def _state(engine: Engine, spec: EnvironmentSpec) -> HealthState | None:
    report = engine.current_report(spec.id)
    health = report.app.health if report is not None and report.app is not None else None
    return health.state if health is not None else None


def test_its_images_check_is_told_and_a_change_acts_at_once(
    node: Node, engine: Engine, specs: Specs, app: EnvironmentSpec, told: _Told
) -> None:
    assert _state(engine, app) is HealthState.STARTING
    told.look(app)
    wait_until(lambda: _state(engine, app) is HealthState.UNHEALTHY, "it to be unhealthy")
    wait_until(lambda: any(one.events for one in told.reports), "the event")
    event = next(one.events[0] for one in told.reports if one.events)
    assert (event.code, event.message.values["output"]) == (EventCode.UNHEALTHY, "1: not yet")
    sh(node, app, "touch /well")
    wait_until(lambda: _state(engine, app) is HealthState.HEALTHY, "it to be healthy")
    pid = engine.observe(app.id)[1]
    assert app.app is not None
    other = app.app.model_copy(update={"health": Health(http=81, retries=1)})
    changed = specs.change(app, app=other)
    engine.apply(changed)
    told.look(changed)
    wait_until(lambda: _state(engine, app) is HealthState.UNHEALTHY, "the new check")
    assert engine.observe(app.id)[1] == pid, "asked otherwise, and not started anew"
    engine.apply(specs.change(changed, app=other.model_copy(update={"health": Health(disable=True)})))
    assert _state(engine, app) is None


def test_unhealthy_starts_it_anew_where_that_is_asked_for(
    make: Make, node: Node, engine: Engine, app_of: AppOf, server_image: str, told: _Told
) -> None:
    spec = make(**app_of(server_image, health={"action": "restart", "retries": 2}))
    first = engine.observe(spec.id)[1]
    told.look(spec)

    def is_another() -> bool:
        told.look(spec)
        return engine.observe(spec.id)[1] not in (None, first)

    wait_until(is_another, "another start")
    ended = [one for one in told.reports if one.code == "unhealthy"]
    assert ended
    assert ended[0].restarts == 1
    sh(node, spec, "touch /well")  # the root stays

    def is_well() -> bool:
        told.look(spec)  # it may have been started once more meanwhile
        return _state(engine, spec) is HealthState.HEALTHY

    wait_until(is_well, "it to be well")


def test_one_that_stopped_is_not_asked(node: Node, engine: Engine, app: EnvironmentSpec) -> None:
    engine.sandbox.stop(app.id, timeout_s=0)
    for health in ({"tcp": 80}, {"command": "true"}):
        with pytest.raises(RuntimeFault):
            _ask(node, app, **health)
