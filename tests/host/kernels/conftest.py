"""One environment with a kernel of its own, for the tests that only look at it or run commands in it."""

from collections.abc import Iterator

import pytest

from runtime.console.exec import run_command
from runtime.contract import DesiredState, EnvironmentSpec, Kernel, Limits
from runtime.engine import Engine
from runtime.node import Node
from runtime.sandboxes.own import OwnSandbox
from tests.host.support.node import Specs

#: What such an environment has when a test says nothing else.
OWN = {"kernel": Kernel.OWN, "limits": Limits(cpu=1, memory_mb=256, disk_mb=256), "stop_timeout_s": 30}
GUARDED = {**OWN, "kernel": Kernel.GUARDED}


def ready(node: Node, spec: EnvironmentSpec) -> None:
    """Its guest has come up: a second on a machine of one's own, and as long as it takes on a busy one."""
    assert run_command(node, spec.id, ["true"], timeout_s=150).exit_code == 0


@pytest.fixture(scope="session")
def own_kernel(node: Node) -> None:
    """Skips where this machine can't have one, and says why."""
    reason = OwnSandbox(node).unavailable()
    if reason is not None:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def own(node: Node, specs: Specs, busybox: str, own_kernel: None) -> Iterator[EnvironmentSpec]:
    engine = Engine(node, lambda _: None)
    spec = specs.new(**OWN)
    report = engine.apply(spec)
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    ready(node, spec)
    yield spec
    engine.apply(specs.change(spec, generation=1000, desired=DesiredState.DELETED))


@pytest.fixture(scope="module")
def guarded(node: Node, specs: Specs, busybox: str, guarded_kernel: None) -> Iterator[EnvironmentSpec]:
    engine = Engine(node, lambda _: None)
    spec = specs.new(**GUARDED)
    report = engine.apply(spec)
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    yield spec
    engine.apply(specs.change(spec, generation=1000, desired=DesiredState.DELETED))
