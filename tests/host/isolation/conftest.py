"""Two environments for the whole session, of two tenants, attacked from inside; each test leaves nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, Limits, SecurityProfile
from runtime.engine import Engine
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support import laboratory
from tests.host.support.audit import nothing_left
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

Try = Callable[..., Any]
Victim = Callable[..., EnvironmentSpec]


@contextmanager
def running(node: Node, specs: Specs, **fields: object) -> Iterator[EnvironmentSpec]:
    engine = Engine(node)
    spec = specs.new(**fields)
    report = engine.apply(spec)
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    wait_until(lambda: sh(node, spec, "pidof sh; true") != "", "the console's shell")
    yield spec
    engine.apply(specs.change(spec, desired=DesiredState.DELETED, generation=spec.generation + 1000))


@pytest.fixture(scope="session")
def ve(node: Node, specs: Specs, image: str) -> Iterator[EnvironmentSpec]:
    """The attacker's."""
    with running(node, specs, image=image, limits=Limits(cpu=1, memory_mb=128, disk_mb=256)) as spec:
        yield spec


@pytest.fixture(scope="session")
def neighbour(node: Node, specs: Specs, image: str) -> Iterator[EnvironmentSpec]:
    """Another tenant's."""
    with running(node, specs, image=image, tenant_id=UUID(int=2)) as spec:
        yield spec


@pytest.fixture(autouse=True)
def audited(node: Node, ve: EnvironmentSpec, neighbour: EnvironmentSpec) -> Iterator[None]:
    """Around every test here, and around the environments that it makes for itself."""
    with nothing_left(node):
        yield


@pytest.fixture
def tries(node: Node, ve: EnvironmentSpec) -> Try:
    """Runs a function of the test file as root in the attacker's environment."""

    def run(function: Callable[..., Any], *arguments: Any, timeout_s: float = 30) -> Any:
        return laboratory.inside(node, ve, function, *arguments, timeout_s=timeout_s)

    return run


@pytest.fixture
def victim(make: Make, image: str) -> Victim:
    """An environment with small limits, made for one test."""

    def create(security: SecurityProfile | None = None, **limits: object) -> EnvironmentSpec:
        return make(
            image=image,
            security=security or SecurityProfile(),
            limits=Limits.model_validate({"cpu": 1, "memory_mb": 64, "disk_mb": 64, "processes": 64, **limits}),
        )

    return create
