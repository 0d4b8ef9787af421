"""What changed since a snapshot, and files taken back out of it: from outside, in a container of their own."""

import ctypes
import io
import os
import signal
import socket
import tarfile
import threading
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runtime.contract import EnvironmentSpec
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.host.cgroup import groups
from runtime.node import Node
from runtime.storage.tree_program.ground import DEEPEST
from runtime.storage.trees import Compared, Trees
from tests.host.conftest import Make
from tests.host.support.node import Specs


@pytest.fixture
def trees(node: Node) -> Trees:
    return Trees(node)


@pytest.fixture
def spec(make: Make) -> EnvironmentSpec:
    return make()


@pytest.fixture
def root(node: Node, spec: EnvironmentSpec) -> Path:
    return node.root_volume(spec.id)


Take = Callable[[], UUID]


@pytest.fixture
def take(engine: Engine, specs: Specs, spec: EnvironmentSpec) -> Take:
    known: list[UUID] = []

    def taken() -> UUID:
        known.append(uuid4())
        wanted = specs.change(spec, generation=spec.generation + len(known), snapshots=tuple(known))
        report = engine.apply(wanted)
        assert report is not None
        assert not report.code, report.message
        return known[-1]

    return taken


def _told(found: Compared) -> dict[bytes, tuple[str, str, int | None, int | None]]:
    return {b64decode(path): (what, sort, x, y) for what, path, sort, x, y in found.changes}


def _refused(code: str, work: Callable[[], object]) -> None:
    with pytest.raises(RuntimeFault) as refused:
        work()
    assert refused.value.code == code, refused.value


def test_what_was_added_changed_and_removed_is_told_with_sizes(
    trees: Trees, spec: EnvironmentSpec, root: Path, take: Take
) -> None:
    home = root / "root"
    (home / "same").write_text("same")
    (home / "grows").write_text("12345")
    (home / "mode").write_text("m")
    (home / "gone").mkdir()
    (home / "gone" / "inner").write_text("123")
    (home / "turns").write_text("into a directory")
    btrfs.create_subvolume(home / "nested")
    (home / "nested" / "file").write_text("1")
    first = take()
    assert trees.compare(spec.id, first, first, most=1000).counts == {"added": 0, "changed": 0, "removed": 0}
    (home / "grows").write_text("1234567890")
    (home / "mode").chmod(0o4711)
    (home / "gone" / "inner").unlink()
    (home / "gone").rmdir()
    (home / "turns").unlink()
    (home / "turns").mkdir()
    (home / "nested" / "file").write_text("22")
    odd = os.fsdecode(b"\xff\nodd")
    (home / odd).write_text("new")
    (home / "link").symlink_to("/etc/shadow")
    second = take()
    expected = {
        b"/root/grows": ("changed", "file", 5, 10),
        b"/root/mode": ("changed", "file", 1, 1),
        b"/root/gone": ("removed", "directory", None, None),
        b"/root/gone/inner": ("removed", "file", 3, None),
        b"/root/turns": ("changed", "directory", 16, None),
        b"/root/nested/file": ("changed", "file", 1, 2),
        b"/root/\xff\nodd": ("added", "file", None, 3),
        b"/root/link": ("added", "link", None, None),
    }
    found = trees.compare(spec.id, first, second, most=1000)
    assert _told(found) == expected
    assert found.counts == {"added": 2, "changed": 4, "removed": 2}
    assert found.is_whole
    (home / "grows").write_text("since the second")
    now = _told(trees.compare(spec.id, first, None, most=1000))
    assert {path: one for path, one in now.items() if path.startswith(b"/root/")} == {
        **expected,
        b"/root/grows": ("changed", "file", 5, 16),
    }
    assert len(trees.compare(spec.id, first, second, most=3).changes) == 3
    _refused("not_found", lambda: trees.compare(spec.id, uuid4(), None, most=10))
    _refused("not_found", lambda: trees.compare(spec.id, first, uuid4(), most=10))


def test_packages_that_changed_version(trees: Trees, spec: EnvironmentSpec, root: Path, take: Take) -> None:
    listed = root / "var" / "lib" / "dpkg"
    listed.mkdir(parents=True)
    entry = "Package: {}\nStatus: {}\nVersion: {}\n\n"
    there, left = "install ok installed", "deinstall ok config-files"
    (listed / "status").write_text(entry.format("a", there, "1") + entry.format("b", there, "1"))
    first = take()
    (listed / "status").write_text(
        entry.format("a", there, "2") + entry.format("b", left, "1") + entry.format("c", there, "3")
    )
    found = trees.compare(spec.id, first, None, most=10)
    assert found.packages == [("a", "1", "2"), ("b", "1", None), ("c", None, "3")]
    (listed / "status").unlink()
    (listed / "status").symlink_to("/etc/shadow")
    assert trees.compare(spec.id, first, None, most=10).packages == [("a", "1", None), ("b", "1", None)]


def test_very_deep_trees_end_by_themselves(trees: Trees, spec: EnvironmentSpec, root: Path, take: Take) -> None:
    first = take()
    here = os.open(root / "root", os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    found = trees.compare(spec.id, first, None, most=1000)
    assert not found.is_whole
    assert 0 < found.counts["added"] < 500


def test_files_and_directories_come_back_as_they_were(
    trees: Trees, spec: EnvironmentSpec, root: Path, take: Take
) -> None:
    home = root / "root" / "site"
    (home / "inner").mkdir(parents=True)
    (home / "inner" / "page").write_bytes(b"good" * 100_000)
    os.chown(home / "inner" / "page", 1000, 1001)
    (home / "inner" / "page").chmod(0o640)
    os.setxattr(home / "inner" / "page", "user.kind", b"page")
    (home / "way").symlink_to("inner/page")
    os.mkfifo(home / "fifo")
    first = take()
    seen = (home / "inner" / "page").stat()
    (home / "inner" / "page").write_text("broken")
    (home / "way").unlink()
    (home / "added").write_text("since")
    done = trees.put_back(spec.id, first, b"/root/site")
    assert (done.entries, done.skipped) == (4, 1)
    now = (home / "inner" / "page").stat()
    assert (home / "inner" / "page").read_bytes() == b"good" * 100_000
    assert (now.st_uid, now.st_gid, now.st_mode, now.st_mtime_ns) == (
        1000,
        1001,
        seen.st_mode,
        seen.st_mtime_ns,
    )
    assert os.getxattr(home / "inner" / "page", "user.kind") == b"page"
    assert (home / "way").readlink() == Path("inner/page")
    assert (home / "added").read_text() == "since"
    assert not list(home.rglob(".wadah-*"))
    (home / "inner" / "page").unlink()
    (home / "inner").rmdir()
    trees.put_back(spec.id, first, b"root/site/inner/page")
    assert (home / "inner" / "page").stat().st_size == 400_000
    assert os.listdir(root.parent / "snapshots")


def test_links_lead_nowhere_and_nothing_of_another_kind_is_overwritten(
    trees: Trees, spec: EnvironmentSpec, root: Path, take: Take, tmp_path: Path
) -> None:
    home = root / "root"
    (home / "a").mkdir()
    (home / "a" / "file").write_text("then")
    first = take()
    (home / "a" / "file").unlink()
    (home / "a").rmdir()
    (home / "a").symlink_to(tmp_path)
    _refused("in_the_way", lambda: trees.put_back(spec.id, first, b"root/a/file"))
    _refused("not_found", lambda: trees.put(spec.id, b"root/a/file", b"x"))
    _refused("not_found", lambda: trees.delete(spec.id, b"root/a/file", recursive=False))
    _refused("in_the_way", lambda: trees.put(spec.id, b"root/a", b"x"))
    assert not list(tmp_path.iterdir())
    trees.delete(spec.id, b"root/a", recursive=False)
    (home / "a").mkdir()
    (home / "a" / "file").mkdir()
    _refused("in_the_way", lambda: trees.put_back(spec.id, first, b"root/a/file"))
    for path in (b"nothing", b"root/../../x", b"a\0b"):
        _refused("not_found", lambda path=path: trees.put_back(spec.id, first, path))


def test_small_files_are_written_and_deleted(trees: Trees, spec: EnvironmentSpec, root: Path) -> None:
    home = root / "root"
    assert trees.put(spec.id, b"/root/new", b"one").is_new
    seen = (home / "new").stat()
    assert (seen.st_uid, seen.st_gid, oct(seen.st_mode)) == (0, 0, "0o100644")
    os.chown(home / "new", 33, 33)
    (home / "new").chmod(0o600)
    assert not trees.put(spec.id, b"root/new", b"\0\xff" * 1000).is_new
    seen = (home / "new").stat()
    assert (seen.st_uid, oct(seen.st_mode), seen.st_size) == (33, "0o100600", 2000)
    os.mkfifo(home / "fifo")
    _refused("in_the_way", lambda: trees.put(spec.id, b"root/fifo", b"x"))
    _refused("not_found", lambda: trees.put(spec.id, b"nowhere/new", b"x"))
    (home / "full").mkdir()
    (home / "full" / "one").write_text("1")
    _refused("not_empty", lambda: trees.delete(spec.id, b"root/full", recursive=False))
    trees.delete(spec.id, b"root/full", recursive=True)
    trees.delete(spec.id, b"root/fifo", recursive=False)
    trees.delete(spec.id, b"root/new", recursive=False)
    assert not {"full", "fifo", "new"} & set(os.listdir(home))
    _refused("not_allowed", lambda: trees.delete(spec.id, b"/", recursive=True))
    assert (root / "etc").is_dir()


def test_a_full_disk_is_said_and_nothing_is_left(
    trees: Trees, spec: EnvironmentSpec, root: Path, node: Node
) -> None:
    with (root / "root" / "big").open("wb") as big, pytest.raises(OSError, match="quota"):
        while True:
            big.write(os.urandom(2**20))
            big.flush()
            os.fdatasync(big.fileno())
    _refused("no_space", lambda: trees.put(spec.id, b"root/more", os.urandom(2**20)))
    assert sorted(os.listdir(root / "root")) == [".ssh", "big"]


def test_a_directory_comes_as_an_archive(trees: Trees, spec: EnvironmentSpec, root: Path, take: Take) -> None:
    home = root / "root" / "site"
    (home / "inner").mkdir(parents=True)
    (home / "inner" / "page").write_bytes(b"good" * 100_000)
    os.chown(home / "inner" / "page", 1000, 1001)
    (home / os.fsdecode(b"\xff")).write_text("odd")
    (home / "out").symlink_to("/etc/shadow")
    os.mkfifo(home / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(home)
        try:
            one.bind("socket")
        finally:
            os.chdir("/")
    first = take()
    for snapshot in (first, None):
        with trees.packed(spec.id, snapshot, b"/root/site") as pieces:
            stream = io.BytesIO(b"".join(pieces))
        with tarfile.open(fileobj=stream, errors="surrogateescape") as archive:
            members = {os.fsencode(one.name): one for one in archive}
            assert set(members) == {b"site", b"site/inner", b"site/inner/page", b"site/\xff", b"site/out"}
            page = members[b"site/inner/page"]
            assert (page.uid, page.gid, page.size) == (1000, 1001, 400_000)
            assert members[b"site/out"].linkname == "/etc/shadow"
            content = archive.extractfile(page)
            assert content is not None
            assert content.read() == b"good" * 100_000
    with pytest.raises(RuntimeFault) as refused, trees.packed(spec.id, first, b"root/site/out"):
        pass
    assert refused.value.code == "not_found"


def test_an_archive_that_is_not_whole_does_not_end_as_if_it_were(
    trees: Trees, spec: EnvironmentSpec, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory too deep was left out, and one that took too long was cut off, without a word."""
    deep = os.open(root / "root", os.O_RDONLY)
    for _ in range(DEEPEST + 5):
        os.mkdir("d", dir_fd=deep)
        inner = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    with pytest.raises(RuntimeFault) as refused, trees.packed(spec.id, None, b"/root") as pieces:
        list(pieces)
    assert refused.value.code == "too_long"
    endless = root / "srv"
    endless.mkdir(exist_ok=True)
    with (endless / "file").open("wb") as file:
        file.truncate(10 * 2**40)
    monkeypatch.setattr("runtime.storage.trees.PACK_S", 2.0)
    with pytest.raises(RuntimeFault) as refused, trees.packed(spec.id, None, b"/srv") as pieces:
        for _ in pieces:
            pass
    assert refused.value.code == "failed"


def test_what_changes_its_kind_meanwhile_costs_no_archive(
    trees: Trees, spec: EnvironmentSpec, root: Path
) -> None:
    home = root / "root" / "busy"
    home.mkdir()
    for number in range(0, 300, 3):
        (home / f"{number:03}").mkdir()
        (home / f"{number + 1:03}").symlink_to("/etc")
        (home / f"{number + 2:03}").write_text("file")
    (home / "last").write_text("last")
    over, exchange = threading.Event(), ctypes.CDLL(None).renameat2

    def swap() -> None:
        directory = os.open(home, os.O_RDONLY)
        while not over.is_set():
            for number in range(299):
                x, y = (b"%03d" % one for one in (number, number + 1))
                exchange(directory, x, directory, y, 2)  # RENAME_EXCHANGE
        os.close(directory)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(4):
            with trees.packed(spec.id, None, b"/root/busy") as pieces:
                stream = io.BytesIO(b"".join(pieces))
            with tarfile.open(fileobj=stream) as archive:
                assert archive.getnames()[-1] == "busy/last"
    finally:
        over.set()
        swapping.join()


def test_nothing_of_the_containers_is_left(trees: Trees, spec: EnvironmentSpec, node: Node, take: Take) -> None:
    trees.compare(spec.id, take(), None, most=10)
    with trees.packed(spec.id, None, b"/usr") as pieces:
        next(pieces)  # who asked has hung up
    assert not list(node.mounts.glob("import-*"))


def test_what_a_killed_process_left_of_a_container_goes(
    trees: Trees, spec: EnvironmentSpec, root: Path, node: Node, engine: Engine
) -> None:
    """It ran on, and kept the tree that it shows from being freed, until the next boot."""
    endless = root / "root" / "endless"
    with endless.open("wb") as file:
        file.truncate(10 * 2**40)
    here, there = os.pipe()
    child = os.fork()
    if not child:
        with trees.packed(spec.id, None, b"/root") as pieces:
            os.write(there, b"1" if next(pieces) else b"0")
            signal.pause()
        os._exit(1)
    os.close(there)
    try:
        assert os.read(here, 1) == b"1"
        engine.reconciler.sweep()
        assert len(list(node.mounts.glob("import-*"))) == 1, "it is used"
        assert groups().processes(f"{node.cgroup_name}-import")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(here)
    engine.reconciler.sweep()
    assert not list(node.mounts.glob("import-*"))
    assert not groups().exists(f"{node.cgroup_name}-import")
    assert endless.exists()
