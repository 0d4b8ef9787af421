"""The list of devices of a group of cgroup2, on the kernel: on hosts with cgroup v1 as well."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.host import cgroup
from runtime.host.cgroup import device_program
from runtime.host.cgroup.trees import remove_tree
from runtime.node import Node

_NULL, _ZERO = (1, 3), (1, 5)


@pytest.fixture
def group(node: Node) -> Iterator[Path]:
    top = cgroup.ROOT / "unified" if cgroup.version() == 1 else cgroup.ROOT
    made = top / f"{node.cgroup_name}-programs"
    made.mkdir()
    yield made
    remove_tree(made)


def opened(group: Path, *wanted: tuple[str, int]) -> list[bool]:
    """By a process of the group, which ends."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        (group / "cgroup.procs").write_text("0")
        for path, flags in wanted:
            try:
                os.close(os.open(path, flags))
                os.write(writes, b"y")
            except PermissionError:
                os.write(writes, b"n")
        os._exit(0)
    os.close(writes)
    os.waitpid(child, 0)
    with os.fdopen(reads, "rb") as file:
        return [one == ord("y") for one in file.read()]


def test_what_is_on_the_list_opens_and_nothing_else(group: Path) -> None:
    tries = (("/dev/null", os.O_RDWR), ("/dev/null", os.O_RDONLY), ("/dev/zero", os.O_RDWR))
    assert opened(group, *tries) == [True, True, True]
    assert device_program.hold(group, {_NULL: "rw"})
    assert opened(group, *tries) == [True, True, False]
    assert device_program.hold(group, {_NULL: "r", _ZERO: "rw"})
    assert opened(group, *tries) == [False, True, True]
    assert device_program.hold(group, {(1, None): "rw"})
    assert opened(group, *tries) == [True, True, True]
    assert device_program.hold(group, {})
    assert opened(group, *tries) == [False, False, False]


def test_one_program_takes_the_place_of_the_other_and_is_known_again(group: Path) -> None:
    assert not device_program.holds(group, {_NULL: "rw"})
    device_program.hold(group, {_NULL: "rw"})
    assert device_program.holds(group, {_NULL: "rw"})
    assert not device_program.hold(group, {_NULL: "rw"}), "it is so"
    device_program.hold(group, {_ZERO: "rw"})
    assert device_program.holds(group, {_ZERO: "rw"}) and not device_program.holds(group, {_NULL: "rw"})
    assert opened(group, ("/dev/zero", os.O_RDWR)) == [True], "the older one forbids nothing any more"


def test_a_list_of_many(group: Path) -> None:
    many: dict[tuple[int, int | None], str] = {(188, minor): "rw" for minor in range(64)}
    device_program.hold(group, {**many, _NULL: "rw"})
    assert opened(group, ("/dev/null", os.O_RDWR), ("/dev/zero", os.O_RDONLY)) == [True, False]
