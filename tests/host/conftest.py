"""A test node for all host tests of a session; each environment made in a test is gone after it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.contract import (
    DesiredState,
    EnvironmentSpec,
    ImageReport,
    ImageSource,
    ImageSpec,
    ObservedState,
    Report,
)
from runtime.engine import Engine
from runtime.node import Node
from tests.host.support import laboratory
from tests.host.support.node import Specs, entered_test_node

Make = Callable[..., EnvironmentSpec]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="host tests need root"))


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    with entered_test_node() as one:
        yield one


@pytest.fixture(scope="session")
def specs(node: Node) -> Specs:
    return Specs(node)


def _image(node: Node, source: ImageSource) -> str:
    from runtime.jobs.images import ensure_image

    said: list[ImageReport] = []
    ensure_image(node, ImageSpec(node=node.name, name=source.value, source=source), said.append)
    assert node.image(source.value).is_dir(), said[-1].message if said else "no report"
    return source.value


@pytest.fixture(scope="session")
def busybox(node: Node) -> str:
    return _image(node, ImageSource.BUSYBOX)


@pytest.fixture(scope="session")
def image(node: Node, busybox: str) -> str:
    """busybox with Python in it: what attacks are written in."""
    return laboratory.build(node, busybox)


@pytest.fixture(scope="session")
def debian(node: Node) -> str:
    return _image(node, ImageSource.DEBIAN_12)


@pytest.fixture(scope="session")
def guarded_kernel(node: Node) -> None:
    """Skips where this machine can't have one, and says why."""
    from runtime.sandboxes.guarded import GuardedSandbox

    reason = GuardedSandbox(node).unavailable()
    if reason is not None:
        pytest.skip(str(reason))


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def engine(node: Node, reports: list[Report]) -> Engine:
    return Engine(node, reports.append)


@pytest.fixture
def make(engine: Engine, specs: Specs, busybox: str) -> Iterator[Make]:
    """Makes a running environment (busybox unless said otherwise) and deletes it after the test."""
    made: list[EnvironmentSpec] = []

    def create(**fields: object) -> EnvironmentSpec:
        spec = specs.new(**fields)
        made.append(spec)
        report = engine.apply(spec)
        assert report is not None
        assert not report.code, f"{report.code}: {report.message}"
        return spec

    yield create
    for spec in made:
        known = engine.current_report(spec.id)
        newest = known.attempted_generation if known else spec.generation
        report = engine.apply(
            EnvironmentSpec.model_validate(
                {**spec.model_dump(), "generation": newest + 1, "desired": DesiredState.DELETED}
            )
        )
        # None: the agent of a test was looking at it just then, and takes it up
        if report is not None:
            assert report.state is ObservedState.DELETED, f"{report.code}: {report.message}"
