"""A thin jail comes to another build of its base, and back; what is its own stays."""

import errno
import os
from collections.abc import Callable, Iterator

import pytest

from runtime.contract import EnvironmentSpec, JailOptions, Kind
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.node import Node
from runtime.storage import base_update
from runtime.storage.base_difference import difference
from runtime.storage.bases import Bases
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs

_IMAGE = "renewed"
Build = Callable[[str], str]


@pytest.fixture(autouse=True)
def nothing_of_it_stays(node: Node) -> Iterator[None]:
    """First of all, so that it comes after the jails are gone: a round would take the builds away while another
    test looks at what there is."""
    yield
    bases = Bases(node)
    for key in bases.there():
        if key.startswith(f"{_IMAGE}@"):
            btrfs.delete_subvolume(bases.path(key))
            bases._used(key).unlink(missing_ok=True)


@pytest.fixture
def build(node: Node, busybox: str) -> Iterator[Build]:
    """Builds the image anew, with a program that says so, and gives the build's key."""
    path = node.image(_IMAGE)

    def anew(version: str) -> str:
        btrfs.delete_subvolume(path)
        btrfs.snapshot(node.image(busybox), path)
        for directory in ("usr/share", "usr/local/bin", "var/lib/dpkg"):
            (path / directory).mkdir(parents=True, exist_ok=True)
        (path / "usr/share/version").write_text(f"{version}\n")
        (path / "usr/share/version").chmod(0o4750)
        (path / "etc/from-image").write_text(f"{version}\n")
        text = f"Package: tool\nStatus: install ok installed\nVersion: {version}\n\nPackage: same\nVersion: 1\n"
        (path / "var/lib/dpkg/status").write_text(text)
        btrfs.set_readonly(path, True)
        return Bases(node).key_of_image(_IMAGE)

    yield anew
    btrfs.delete_subvolume(path)


def test_freebsd_jail_base_update_keeps_what_is_its_own_and_goes_back(
    node: Node, engine: Engine, specs: Specs, make: Make, build: Build
) -> None:
    first, bases = build("1"), Bases(node)
    spec = make(kind=Kind.JAIL, image=_IMAGE, jail=JailOptions())
    root = node.root_volume(spec.id)
    sh(node, spec, "echo mine > /etc/mine; echo tool > /usr/local/bin/mine; rm /etc/from-image")
    assert bases.key_of(root) == first
    second = build("2")

    told = difference(bases, root, _IMAGE)
    assert (told["now"], told["newest"]) == (first, second)
    assert told["packages"] == [{"name": "tool", "before": "1", "after": "2"}]
    assert told["settings"] == ["/etc/from-image"]
    assert told["files"] == {"added": 0, "removed": 0, "changed": 1}

    def brought(of: EnvironmentSpec, key: str) -> EnvironmentSpec:
        changed = specs.change(of, jail=JailOptions(build=key), boots=of.boots + 1)
        report = engine.apply(changed)
        assert report is not None and not report.code, report
        return changed

    def seen(of: EnvironmentSpec) -> str:
        return sh(
            node,
            of,
            "cat /usr/share/version /etc/mine /usr/local/bin/mine; grep -c ': 2' /var/lib/dpkg/status; "
            "stat -c '%a %u' /usr/share/version; ls /etc/from-image 2>/dev/null; ls -A / | grep wadah; true",
        )

    spec = brought(spec, second)
    assert seen(spec).split() == ["2", "mine", "tool", "1", "4750", "0"]
    own = (root / "usr/share/version").read_text()
    assert own == "2\n", "its disk is whole, and says the same without its base"
    assert (bases.key_of(root), bases.key_before(root)) == (second, first)
    spec = brought(spec, "")
    assert seen(spec).split() == ["1", "mine", "tool", "0", "4750", "0"]
    assert (bases.key_of(root), bases.key_before(root)) == (first, "")


def test_a_build_that_is_gone_is_refused_before_it_is_stopped(
    node: Node, engine: Engine, specs: Specs, make: Make, build: Build
) -> None:
    build("1")
    spec = make(kind=Kind.JAIL, image=_IMAGE, jail=JailOptions())
    began = sh(node, spec, "stat -c %Y /proc/1")
    for gone in (f"{_IMAGE}@1", "nothing@2"):
        report = engine.apply(
            specs.change(spec, jail=JailOptions(build=gone), boots=1, generation=spec.generation + len(gone))
        )
        assert report is not None
        assert report.code == "base_missing"
    assert sh(node, spec, "stat -c %Y /proc/1") == began


@pytest.mark.parametrize("renames", (1, 2))
def test_an_update_that_is_cut_off_is_gone_on_with(
    node: Node,
    engine: Engine,
    specs: Specs,
    make: Make,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    renames: int,
) -> None:
    """After so many of its renames; its own /usr/local is never lost."""
    build("1")
    spec = make(kind=Kind.JAIL, image=_IMAGE, jail=JailOptions())
    sh(node, spec, "echo tool > /usr/local/bin/mine")
    root, second, done = node.root_volume(spec.id), build("2"), 0
    rename = os.rename

    def cut_off(*args: object, **more: object) -> None:
        nonlocal done
        done += "src_dir_fd" in more
        if done > renames:
            raise OSError(errno.EIO, "cut off")
        rename(*args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as broken, pytest.raises(base_update.RuntimeFault):
        broken.setattr(os, "rename", cut_off)
        base_update.bring_to(Bases(node), root, second)
    report = engine.apply(specs.change(spec, jail=JailOptions(build=second), boots=1))
    assert report is not None and not report.code, report
    assert sh(node, spec, "cat /usr/share/version /usr/local/bin/mine; ls -A /").split()[:2] == ["2", "tool"]
    assert not (root / ".wadah-base").exists()
    assert attempt(node, spec, "touch /usr/share/mine")[0] != 0


def test_both_builds_are_kept_while_it_can_go_back(
    node: Node, make: Make, build: Build, engine: Engine, specs: Specs
) -> None:
    first, bases = build("1"), Bases(node)
    spec = make(kind=Kind.JAIL, image=_IMAGE, jail=JailOptions())
    second = build("2")
    report = engine.apply(specs.change(spec, jail=JailOptions(build=second), boots=1))
    assert report is not None and not report.code, report
    for one in bases.there():
        os.utime(bases.path(one).with_name(f".{one}.used"), (0, 0))
    bases.sweep()
    assert {first, second} <= set(bases.there())
