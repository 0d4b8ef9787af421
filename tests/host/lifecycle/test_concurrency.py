"""Specs that come while somebody else has the environment's lock are neither lost nor done twice."""

import threading
import time

from runtime.contract import DesiredState, ObservedState
from runtime.engine import Engine
from runtime.node import Node
from runtime.state import Records
from tests.host.conftest import Make
from tests.host.support.node import Specs


def test_a_spec_that_comes_while_it_is_mended_is_taken_up(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    stopped = specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    answers = []
    original = engine.reconciler.drift

    def slow(records: Records) -> str | None:
        reason = original(records)
        if records.id == spec.id and not answers:
            answers.append(Engine(node).apply(stopped))
        return reason

    engine.reconciler.drift = slow  # type: ignore[method-assign]
    mended = engine.reconciler.mend(spec.id, engine.again)
    assert answers == [None], "the lock was held, so the caller went home"
    assert mended
    assert engine.observe(spec.id)[0] is ObservedState.STOPPED


def test_many_generations_at_once_end_at_the_newest(
    make: Make, node: Node, engine: Engine, specs: Specs
) -> None:
    spec = make()
    changed = [spec]
    for number in range(12):
        wanted = DesiredState.STOPPED if number % 2 else DesiredState.RUNNING
        changed.append(specs.change(changed[-1], desired=wanted, stop_timeout_s=0))
    threads = [threading.Thread(target=Engine(node).apply, args=(one,)) for one in reversed(changed)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)
    for thread in threads:
        thread.join(30)
    records = Records(node, spec.id)
    assert records.state().applied == changed[-1].generation
    assert engine.observe(spec.id)[0] is ObservedState.STOPPED
