"""Files of a snapshot are read from outside: all names, nothing of the host, nothing that waits."""

import os
import socket
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runtime.contract import EnvironmentSpec
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.storage.files import Files, Listed
from tests.host.conftest import Make
from tests.host.support.node import Specs

Taken = Callable[[Callable[[Path], None]], tuple[EnvironmentSpec, UUID]]


@pytest.fixture
def files(node: Node) -> Files:
    return Files(node)


@pytest.fixture
def taken(node: Node, engine: Engine, specs: Specs, make: Make) -> Taken:
    """An environment whose tree somebody filled, and a snapshot of it."""

    def take(fill: Callable[[Path], None]) -> tuple[EnvironmentSpec, UUID]:
        spec, snapshot = make(), uuid4()
        fill(node.root_volume(spec.id))
        spec = specs.change(spec, generation=spec.generation + 1, snapshots=(snapshot,))
        report = engine.apply(spec)
        assert report is not None
        assert not report.code, report.message
        return spec, snapshot

    return take


def _all(files: Files, spec: EnvironmentSpec, snapshot: UUID, path: bytes, most: int = 1000) -> list[Listed]:
    pages, after = [], b""
    while True:
        pages.append(files.listed(spec.id, snapshot, path, after=after, most=most))
        if not pages[-1].next:
            return pages
        after = b64decode(pages[-1].next)


def _missing(work: Callable[[], object]) -> None:
    with pytest.raises(RuntimeFault) as refused:
        work()
    assert refused.value.code == "not_found"


def test_every_name_comes_once_in_pages_and_every_byte_of_a_file(files: Files, taken: Taken) -> None:
    odd = [b"a\nb", b"\xff\xfe", "ü".encode(), b" ", b"-rf", b"%00"]

    def fill(root: Path) -> None:
        place = os.fsencode(root / "root")
        for number in range(2500):
            Path(os.fsdecode(place + b"/n%05d" % number)).touch()
        for name in odd:
            Path(os.fsdecode(place + b"/" + name)).write_bytes(name * 100_000)
        os.chown(os.fsdecode(place + b"/-rf"), 1000, 1001)
        (root / "root" / "-rf").chmod(0o640)

    spec, snapshot = taken(fill)
    pages = _all(files, spec, snapshot, b"/root")
    names = [b64decode(entry.raw) for page in pages for entry in page.entries]
    assert len(names) == len(set(names)) == pages[0].total
    assert set(odd) <= set(names)
    entry = next(one for page in pages for one in page.entries if one.name == "-rf")
    assert (entry.sort, entry.size, entry.mode, entry.uid, entry.gid) == ("file", 300_000, "0640", 1000, 1001)
    for name in odd:
        fd, size = files.opened(spec.id, snapshot, b"root/" + name)
        with os.fdopen(fd, "rb") as file:
            assert file.read() == name * 100_000
        assert size == len(name) * 100_000


def test_a_page_of_long_links_is_short_and_none_is_left_out(files: Files, taken: Taken) -> None:
    """A thousand entries of 4,095 bytes that are no text were 20 MB of JSON, made where others wait."""

    def fill(root: Path) -> None:
        (root / "root" / "links").mkdir()
        for number in range(300):
            os.symlink(b"\xff" * 4095, os.fsencode(root / "root" / "links" / f"{number:03}"))

    spec, snapshot = taken(fill)
    pages = _all(files, spec, snapshot, b"root/links")
    assert all(sum(len(one.target) for one in page.entries) < 300_000 for page in pages)
    assert [one.name for page in pages for one in page.entries] == [f"{number:03}" for number in range(300)]


def test_links_lead_nowhere_and_nothing_is_waited_for(files: Files, taken: Taken, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the host")

    def fill(root: Path) -> None:
        (root / "root" / "out").symlink_to(tmp_path)
        (root / "root" / "file").symlink_to(tmp_path / "secret")
        (root / "root" / "proc").symlink_to("/proc/self/root")
        (root / "root" / "near").symlink_to("../etc")
        os.mkfifo(root / "root" / "fifo")
        with socket.socket(socket.AF_UNIX) as one:
            os.chdir(root / "root")
            try:
                one.bind("socket")
            finally:
                os.chdir("/")

    spec, snapshot = taken(fill)
    sorts = {e.name: e.sort for page in _all(files, spec, snapshot, b"root") for e in page.entries}
    assert {name: sorts[name] for name in ("out", "fifo", "socket")} == {
        "out": "link", "fifo": "other", "socket": "other",
    }  # fmt: skip
    for path in (
        b"root/out/secret",
        b"root/file",
        b"root/proc/etc/passwd",
        b"root/near/hostname",
        b"root/fifo",
    ):
        _missing(lambda path=path: files.opened(spec.id, snapshot, path))
    for path in (b"root/socket", b"root", b"nothing", b"../root", b"root/../../x", b"a\0b", b"x" * 5000):
        _missing(lambda path=path: files.opened(spec.id, snapshot, path))
    for path in (b"root/out", b"root/proc", b"root/fifo", b"..", b"nothing"):
        _missing(lambda path=path: files.listed(spec.id, snapshot, path, after=b"", most=10))


def test_what_is_no_snapshot_of_this_one_is_not_there(files: Files, taken: Taken) -> None:
    spec, snapshot = taken(lambda root: None)
    other, _ = taken(lambda root: None)
    assert files.listed(spec.id, snapshot, b"", after=b"", most=1).total > 5
    _missing(lambda: files.listed(other.id, snapshot, b"", after=b"", most=1))
    _missing(lambda: files.listed(spec.id, uuid4(), b"", after=b"", most=1))


def test_a_directory_of_very_many_is_refused_in_a_sentence(
    files: Files, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.storage.files.MOST_NAMES", 5)
    spec, snapshot = taken(lambda root: [(root / "root" / str(n)).touch() for n in range(6)] and None)
    with pytest.raises(RuntimeFault, match="more than 5") as refused:
        files.listed(spec.id, snapshot, b"root", after=b"", most=1)
    assert refused.value.code == "too_many_entries"
