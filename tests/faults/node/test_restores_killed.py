"""An environment put back to a snapshot: the process at work is killed at its steps, and at any moment."""

import os
import random
import signal
import sys
import threading
import time
import uuid
from contextlib import suppress

import pytest

from runtime.contract import EnvironmentSpec, Origin
from runtime.engine import Engine
from runtime.known import pending_environments
from runtime.node import Node
from runtime.state import Records
from runtime.storage.snapshots import Snapshots
from tests.faults.node.support import (
    COMMIT,
    HALT,
    Point,
    around,
    assert_whole,
    killed_at,
    named,
    next_process,
)
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

DISK = ["root volume", "id-mapped root", "container", "guest files"]


def _put_back(make: Make, node: Node, specs: Specs) -> tuple[EnvironmentSpec, EnvironmentSpec]:
    """It was `good` in a snapshot and is `bad` now; and what puts it back, with a snapshot of now."""
    spec, good, before = make(), uuid.uuid4(), uuid.uuid4()
    sh(node, spec, "echo good > /root/note")
    taken = specs.change(spec, snapshots=(good,))
    report = Engine(node).apply(taken)
    assert report is not None
    assert not report.code, report.message
    sh(node, spec, "echo bad > /root/note")
    origin = Origin(environment_id=spec.id, snapshot=good)
    return spec, specs.change(taken, snapshots=(good, before), installs=1, origin=origin, stop_timeout_s=0)


def _assert_back(node: Node, wanted: EnvironmentSpec) -> None:
    state = Records(node, wanted.id).state()
    assert (state.applied, state.failed) == (wanted.generation, 0)
    assert sh(node, wanted, "cat /root/note") == "good"
    before = Snapshots(node).path(wanted.id, wanted.snapshots[1])
    assert (before / "root/note").read_text() == "bad\n"
    assert_whole(node)


@pytest.mark.parametrize("point", [*HALT, *around("ensure", DISK), *COMMIT], ids=named)
def test_it_is_gone_on_with(make: Make, node: Node, specs: Specs, point: Point) -> None:
    _, wanted = _put_back(make, node, specs)
    killed_at(node, point, lambda: Engine(node).apply(wanted))
    next_process(node)
    _assert_back(node, wanted)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_whole_whenever_it_was_cut_off(make: Make, node: Node, specs: Specs, seed: int) -> None:
    _, wanted = _put_back(make, node, specs)
    chance = random.Random(seed)
    for _ in range(2):  # the third in a row gives it up
        if not _cut_off(node, wanted, chance.uniform(0.0, 0.25)):
            break
    Engine(node).apply(wanted)
    for _ in range(
        20
    ):  # rounds, as the agent makes them: what was killed may still hold its lock while it ends
        Engine(node).reconcile()
        if Records(node, wanted.id).state().applied == wanted.generation and not pending_environments(node):
            break
        time.sleep(0.5)
    _assert_back(node, wanted)


def _cut_off(node: Node, wanted: EnvironmentSpec, after_s: float) -> bool:
    """False: it was done by then."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            Engine(node).apply(wanted)
        os._exit(0)

    def kill() -> None:
        time.sleep(after_s)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    killer.join()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL
