"""A stop asks init for what it understands, whatever it is; one that doesn't end is told."""

from pathlib import Path

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, ObservedState, Report
from runtime.engine import Engine
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

#: Each notes what it heard and ends.
_NOTES = 'for s in 12 15 37; do trap "echo $s > /root/heard; kill -9 -1; exit" $s; done'
_WAITS = "while :; do sleep 0.2 & wait $!; done"
INITS = {
    "who listens to systemd's": (f"#!/bin/sh\n{_NOTES}\n{_WAITS}\n", "37"),
    "a script that is busybox's": (f"#!/bin/busybox sh\n{_NOTES.replace(' 37', '')}\n{_WAITS}\n", "12"),
    "a script with a trap": (f"#!/bin/sh\n{_NOTES.replace('12 15 37', '15')}\n{_WAITS}\n", "15"),
    "one with a command of its own": (
        f"#!/bin/sh\ntrap 'echo command > /root/heard; exit' INT\n{_WAITS}\n",
        "command",
    ),
}


def _root(node: Node, spec: EnvironmentSpec) -> Path:
    return node.root_volume(spec.id)


def _with_init(node: Node, engine: Engine, specs: Specs, spec: EnvironmentSpec, text: str) -> EnvironmentSpec:
    """Running by this script in place of its init."""
    stopped = specs.change(spec, desired=DesiredState.STOPPED)
    engine.apply(stopped)
    init = _root(node, spec) / "sbin" / "init"
    init.unlink()
    init.write_text(text)
    init.chmod(0o755)
    poweroff = _root(node, spec) / "sbin" / "poweroff"
    poweroff.unlink(missing_ok=True)
    poweroff.write_text("#!/bin/sh\nkill -INT 1\n")
    poweroff.chmod(0o755)
    running = specs.change(stopped, desired=DesiredState.RUNNING, stop_timeout_s=8)
    report = engine.apply(running)
    assert report is not None
    assert report.state is ObservedState.RUNNING, report.message
    return running


def _stop(engine: Engine, specs: Specs, spec: EnvironmentSpec) -> Report:
    report = engine.apply(specs.change(spec, desired=DesiredState.STOPPED))
    assert report is not None
    assert report.state is ObservedState.STOPPED, report.message
    return report


@pytest.mark.parametrize("which", INITS)
def test_it_is_asked_by_what_it_listens_to(
    node: Node, engine: Engine, specs: Specs, make: Make, which: str
) -> None:
    text, expected = INITS[which]
    spec = _with_init(node, engine, specs, make(), text)
    wait_until(lambda: "sleep" in sh(node, spec, "ps"), "its init's loop")
    report = _stop(engine, specs, spec)
    assert [step.detail for step in report.steps if step.name == "shutdown"] == ["shut down"]
    assert (_root(node, spec) / "root" / "heard").read_text().strip() == expected


def test_one_that_hears_nothing_is_ended_by_force_and_that_is_told(
    node: Node, engine: Engine, specs: Specs, make: Make
) -> None:
    spec = _with_init(node, engine, specs, make(), f"#!/bin/sh\ntrap '' INT TERM\n{_WAITS}\n")
    report = _stop(engine, specs, specs.change(spec, stop_timeout_s=1))
    assert [step.detail for step in report.steps if step.name == "shutdown"] == ["forced"]
