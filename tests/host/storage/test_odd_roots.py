"""D01: a tenant makes something else of the directories that its root is mounted over, and starts it again: the
OCI runtime is led nowhere, and says what is in the way (CVE-2019-19921, CVE-2023-27561, CVE-2025-31133)."""

import shutil
from pathlib import Path

import pytest

from runtime.contract import DesiredState, ObservedState
from runtime.engine import Engine
from runtime.node import Node
from tests.host.support.node import Specs
from tests.host.support.trees import put, sum_of

NAMES = ("dev", "proc", "sys", "run")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host as the runtime would like it to be."""
    for name in ("dev/pts", "dev/shm", "dev/mqueue", "proc", "sys/fs/cgroup", "run"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dev" / "console").touch()
    return tmp_path


@pytest.mark.parametrize("kind", ["link upwards", "link through proc", "loop of links", "fifo", "its own etc"])
def test_d01_what_is_no_directory_leads_the_runtime_nowhere(
    node: Node, specs: Specs, busybox: str, canary: Path, kind: str
) -> None:
    engine, before = Engine(node), sum_of(canary)
    spec = specs.new(desired=DesiredState.STOPPED)
    report = engine.apply(spec)
    assert report is not None
    assert not report.code
    tree = node.root_volume(spec.id)
    try:
        for number, name in enumerate(NAMES):
            (tree / name).rename(tree / "aside")
            if kind == "its own etc":
                (tree / name).symlink_to("/etc")
            else:
                put(kind, tree / name, canary / name)
            spec = specs.change(spec, desired=DesiredState.RUNNING, generation=spec.generation + 1)
            report = engine.apply(spec)
            assert report is not None
            if kind != "its own etc":
                assert report.state is ObservedState.STOPPED
                assert report.code == "runtime_refused"
                assert name in report.message, number
            assert sum_of(canary) == before, name
            stopped = {"desired": DesiredState.STOPPED, "stop_timeout_s": 0}
            spec = specs.change(spec, generation=spec.generation + 1, **stopped)
            engine.apply(spec)
            (tree / name).unlink()
            (tree / "aside").rename(tree / name)
        spec = specs.change(spec, desired=DesiredState.RUNNING, generation=spec.generation + 1)
        report = engine.apply(spec)
        assert report is not None
        assert report.state is ObservedState.RUNNING, report.message
    finally:
        shutil.rmtree(canary)
        engine.apply(specs.change(spec, desired=DesiredState.DELETED, generation=9999))
