"""D01, D03, D04: what the host writes into a tree goes nowhere else, whatever lies in the way."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.contract import DesiredState, EnvironmentSpec
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.images.archive import pretty_name
from runtime.node import Node
from runtime.oci.init import init_of
from runtime.resources.guest import GuestFiles
from runtime.sandboxes import sandbox_of
from tests.host.support.node import Specs
from tests.host.support.trees import put, sum_of

#: Every path that a host-side action writes or reads, and the directories above.
TARGETS = (
    "etc etc/hostname etc/hosts etc/resolv.conf etc/machine-id etc/shadow "
    "root root/.ssh root/.ssh/authorized_keys sbin sbin/init etc/os-release"
).split()
KINDS = (
    "absolute link",
    "link upwards",
    "link through proc",
    "dangling link",
    "loop of links",
    "fifo",
    "socket",
    "directory",
    "hard link",
)


@pytest.fixture(scope="module")
def stopped(node: Node, specs: Specs, busybox: str) -> Iterator[EnvironmentSpec]:
    """Its tree is at hand and nothing runs in it."""
    engine = Engine(node)
    spec = specs.new(desired=DesiredState.STOPPED)
    report = engine.apply(spec)
    assert report is not None
    assert not report.code, report.message
    yield spec
    engine.apply(specs.change(spec, desired=DesiredState.DELETED, generation=9999))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that looks like the tree: who follows a link changes a file in it."""
    for name in TARGETS:
        place = tmp_path / name
        if name in ("etc", "root", "root/.ssh", "sbin"):
            place.mkdir(exist_ok=True)
        else:
            place.write_text(f"of the host: {name}\n")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_d01_nothing_is_written_through_what_lies_in_the_way(
    node: Node,
    stopped: EnvironmentSpec,
    specs: Specs,
    canary: Path,
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tree = node.root_volume(stopped.id)
    before = sum_of(canary)
    for number, target in enumerate(TARGETS):
        place, aside = tree / target, tree / "aside"
        (tree / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        there = place.exists() or place.is_symlink()
        if there:
            place.rename(aside)
        began = time.monotonic()
        try:
            if kind == "hard link" and target in ("etc", "root", "root/.ssh", "sbin"):
                continue
            put(kind, place, canary / target)
            (node.environment(stopped.id) / "guest.json").unlink(missing_ok=True)
            changed = specs.change(
                stopped,
                name=f"name-{number}",
                credentials={
                    "revision": 100 + number,
                    "ssh_keys": ("ssh-ed25519 AAAA test",),
                    "root_password_hash": "$6$salt$hash",
                },
            )
            try:
                GuestFiles(node, sandbox_of(node)).ensure(changed)
            except RuntimeFault as fault:
                assert "inside" in str(fault), fault
            assert init_of(tree)[0] == ["/sbin/init"]
            pretty_name(tree)
        finally:
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
            (place.parent / f"{place.name}.other").unlink(missing_ok=True)
            if there:
                aside.rename(place)
        assert time.monotonic() - began < 30, target
        assert sum_of(canary) == before, target
    assert not [one for one in tree.rglob(".*.*") if len(one.name) > 14 and one.parent.name in ("etc", ".ssh")]


@pytest.mark.parametrize("what", ["a gigabyte", "a sparse terabyte", "a fifo", "a device"])
def test_d03_at_most_a_mebibyte_is_read_and_nothing_waits(
    node: Node, stopped: EnvironmentSpec, what: str
) -> None:
    place = node.root_volume(stopped.id) / "etc" / "odd"
    if what == "a fifo":
        os.mkfifo(place)
    elif what == "a device":
        os.mknod(place, 0o20666, os.makedev(1, 5))
    else:
        with place.open("wb") as file:
            file.truncate(2**30 if what == "a gigabyte" else 2**40)
    began = time.monotonic()
    try:
        with SafeTree.open(node.root_volume(stopped.id)) as tree, pytest.raises(RuntimeFault, match="inside"):
            tree.read("/etc/odd")
    finally:
        place.unlink()
    assert time.monotonic() - began < 30


def test_d03_a_host_name_of_the_tenants_own_is_never_read(
    node: Node, stopped: EnvironmentSpec, specs: Specs
) -> None:
    tree = node.root_volume(stopped.id)
    (tree / "etc/hosts").write_bytes(b"\x1b]0;taken\x07\0\xff\n127.0.0.1 localhost\n")
    GuestFiles(node, sandbox_of(node)).ensure(
        specs.change(stopped, name="plain", credentials={"revision": 1000})
    )
    text = (tree / "etc/hosts").read_bytes()
    assert text.startswith(b"\x1b]0;taken\x07\0\xff\n")
    assert text.count(b"127.0.1.1\tplain") == 1
    assert (tree / "etc/hostname").read_bytes() == b"plain\n"


@pytest.mark.parametrize("said", [b"x" * 100_000, b"\xff" * 3_000, b"\1" * 3_000])
def test_d03_what_stands_in_place_of_a_hash_keeps_no_change_from_the_tree(
    node: Node, stopped: EnvironmentSpec, specs: Specs, said: bytes
) -> None:
    """It was noted, whatever it was, and the note didn't fit: `node_full` was said of an empty node."""
    shadow = node.root_volume(stopped.id) / "etc/shadow"
    shadow.write_bytes(b"root:" + said + b":1::::::\n")
    for number, name in enumerate(("odd-hash", "even-hash")):
        spec = specs.change(
            stopped, name=name, credentials={"revision": 2000 + number, "root_password_hash": f"$6$a${number}"}
        )
        GuestFiles(node, sandbox_of(node)).ensure(spec)
        GuestFiles(node, sandbox_of(node)).settle(spec)
        assert shadow.read_text().startswith(f"root:$6$a${number}:"), "the new one is written"
    shadow.write_bytes(b"root:" + said + b":1::::::\n")
    GuestFiles(node, sandbox_of(node)).ensure(
        specs.change(stopped, name="odd-again", credentials={"revision": 2001})
    )
    assert (shadow.parent / "hostname").read_text() == "odd-again\n"


def test_d04_the_old_file_stays_when_the_new_one_can_not_be_written(
    node: Node, stopped: EnvironmentSpec
) -> None:
    root = node.root_volume(stopped.id)
    before = (root / "etc/shadow").read_bytes()
    (root / "etc").chmod(0o755)
    with SafeTree.open(root) as tree, pytest.raises(RuntimeFault):
        tree.write("/etc/shadow/x", b"never")
    assert (root / "etc/shadow").read_bytes() == before


@pytest.mark.parametrize("path", ["../etc/passwd", "/etc/../../x", "", "/", "/etc/a\0b", ".."])
def test_d10_a_path_that_leads_out_is_no_path(node: Node, stopped: EnvironmentSpec, path: str) -> None:
    with SafeTree.open(node.root_volume(stopped.id)) as tree:
        for act in (lambda: tree.read(path), lambda: tree.write(path, b"x"), lambda: tree.make_directory(path)):
            with pytest.raises(RuntimeFault):
                act()
