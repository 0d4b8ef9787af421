"""Directories on a real kernel: the node's set of programs is unpacked once for all tests."""

from collections.abc import Callable, Iterator

import pytest

from runtime.console.exec import Outcome, run_command
from runtime.contract import (
    DIRECTORY_IMAGE,
    DirectoryOptions,
    EnvironmentSpec,
    Kind,
    Limits,
    Network,
    Profile,
)
from runtime.images.directory.profiles import DirectoryTrees
from runtime.images.waiter import Waiter
from runtime.node import Node
from tests.host.conftest import Make

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def trees(node: Node) -> DirectoryTrees:
    """With the tree of the profile `shell` made."""
    found = DirectoryTrees(node)
    found.get(DirectoryOptions(), Waiter())
    return found


@pytest.fixture
def directory(trees: DirectoryTrees, make: Make) -> Callable[..., EnvironmentSpec]:
    def create(
        profile: Profile = Profile.SHELL, programs: tuple[str, ...] = (), **more: object
    ) -> EnvironmentSpec:
        options = DirectoryOptions(profile=profile, programs=programs)
        trees.get(options, Waiter())
        fixed: dict[str, object] = {"kind": Kind.DIRECTORY, "image": DIRECTORY_IMAGE, "network": Network()}
        limits = Limits(cpu=1, memory_mb=96, disk_mb=64, processes=40)
        return make(**{**fixed, "limits": limits, "directory": options, **more})

    return create


@pytest.fixture
def jail(directory: Callable[..., EnvironmentSpec]) -> EnvironmentSpec:
    return directory()


@pytest.fixture
def sh(node: Node, jail: EnvironmentSpec) -> Iterator[Run]:
    """Runs a line of shell in it."""

    def run(line: str, **more: float) -> Outcome:
        return run_command(node, jail.id, ["/bin/bash", "-c", line], **more)  # type: ignore[arg-type]

    yield run
