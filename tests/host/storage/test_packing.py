"""Searching and archives within a tree: hostile names, bombs and links, and nothing of the host."""

import os
import tarfile
import time
import zipfile
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.storage.arranging import Archive, Archived, Arranging, Extract, Found
from runtime.storage.trees import Trees
from tests.host.conftest import Make


@pytest.fixture
def spec(make: Make) -> EnvironmentSpec:
    return make()


@pytest.fixture
def home(node: Node, spec: EnvironmentSpec) -> Path:
    return node.root_volume(spec.id) / "root"


class Hand:
    def __init__(self, node: Node, spec: EnvironmentSpec):
        self._arranging, self._id = Arranging(Trees(node)), spec.id

    def pack(self, to: bytes, *paths: bytes, form: str = "tar.gz") -> Archived:
        work = {"verb": "archive", "paths": [*map(_64, paths)], "path": _64(to), "format": form}
        return self._arranging.archive(self._id, Archive.model_validate(work))

    def unpack(self, path: bytes, into: bytes) -> Archived:
        return self._arranging.archive(self._id, Extract(verb="extract", path=_64(path), into=_64(into)))

    def search(self, text: bytes, path: bytes = b"/root", *, content: bool = False, most: int = 100) -> Found:
        return self._arranging.search(self._id, None, path, text, in_content=content, most=most)


@pytest.fixture
def hand(node: Node, spec: EnvironmentSpec) -> Hand:
    return Hand(node, spec)


def _64(path: bytes) -> str:
    return b64encode(path).decode()


def _paths(found: Found) -> list[bytes]:
    return [b64decode(one[0]) for one in found.entries]


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_packed_and_unpacked_it_is_the_same(hand: Hand, home: Path, form: str) -> None:
    (home / "site/inner").mkdir(parents=True)
    (home / "site/inner/page").write_bytes(b"good" * 100_000)
    (home / "site/inner/page").chmod(0o640)
    os.utime(home / "site/inner/page", (1_700_000_000, 1_700_000_000))
    (home / "site/empty").touch()
    (home / "site/way").symlink_to("inner/page")
    os.mkfifo(home / "site/fifo")
    (home / "other").write_text("2")
    to = f"/root/all.{form}".encode()
    assert hand.pack(to, b"/root/site", b"/root/other", form=form).size < 20_000
    assert (home / f"all.{form}").stat().st_mode & 0o7777 == 0o644
    done = hand.unpack(to, b"/root/again")
    assert (done.entries, done.skipped) == (6, 0)
    page = home / "again/site/inner/page"
    assert (page.read_bytes(), page.stat().st_mode & 0o777) == (b"good" * 100_000, 0o640)
    assert abs(page.stat().st_mtime - 1_700_000_000) <= 2
    assert (home / "again/site/way").readlink() == Path("inner/page")
    assert (home / "again/other").read_text() == "2"
    for refused, paths, where in (
        ("exists", [b"/root/site"], to),
        ("into_itself", [b"/root/site"], b"/root/site/inner/x"),
        ("not_found", [b"/root/none"], b"/root/x"),
        ("not_found", [b"/root/site/fifo"], b"/root/x"),
        ("not_found", [b"/root/site/way/x"], b"/root/x"),
        ("not_allowed", [b"/"], b"/root/x"),
    ):
        with pytest.raises(RuntimeFault) as fault:
            hand.pack(where, *paths, form=form)
        assert fault.value.code == refused, (paths, where)
    assert not list(home.rglob(".wadah-*"))


def test_archives_that_mean_harm_stay_within(hand: Hand, home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(home / "up.zip", "w") as bad:
        bad.writestr("../../out", "x")
    with zipfile.ZipFile(home / "through.zip", "w") as bad:
        link = zipfile.ZipInfo("way")
        link.external_attr = 0o120777 << 16
        bad.writestr(link, str(tmp_path))
        bad.writestr("way/in", "x")
    with zipfile.ZipFile(home / "absolute.zip", "w") as good:
        good.writestr("/etc/inside", "x")
        node = zipfile.ZipInfo("null")
        node.external_attr = 0o020666 << 16
        good.writestr(node, "")
    (home / "none.zip").write_bytes(b"PK\3\4" + os.urandom(1000))
    (home / "none.tar").write_bytes(os.urandom(5000))
    with tarfile.open(home / "hard.tar", "w") as bad_tar:
        info = tarfile.TarInfo("second")
        info.type, info.linkname = tarfile.LNKTYPE, "../../../etc/passwd"
        bad_tar.addfile(info)
    os.mkfifo(home / "fifo")
    (home / "way.zip").symlink_to("/etc/passwd")
    for name, code in (
        ("up.zip", "bad_archive"),
        ("through.zip", "in_the_way"),
        ("none.zip", "bad_archive"),
        ("none.tar", "bad_archive"),
        ("hard.tar", "bad_archive"),
        ("fifo", "in_the_way"),
        ("way.zip", "not_found"),
    ):
        with pytest.raises(RuntimeFault) as refused:
            hand.unpack(f"/root/{name}".encode(), f"/root/new-{name}".encode())
        assert refused.value.code == code, name
        assert name == "through.zip" or not (home / f"new-{name}").exists(), name
    done = hand.unpack(b"/root/absolute.zip", b"/root/fine")
    assert (done.entries, done.skipped) == (1, 1)
    assert (home / "fine/etc/inside").read_text() == "x"
    assert not list(tmp_path.iterdir())


def test_a_bomb_ends_at_the_disk_of_the_environment(hand: Hand, home: Path) -> None:
    with zipfile.ZipFile(home / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb, bomb.open("zeros", "w") as one:
        for _ in range(400):
            one.write(os.urandom(64) * 2**14)
    with pytest.raises(RuntimeFault) as refused:
        hand.unpack(b"/root/bomb.zip", b"/root/full")
    assert refused.value.code == "no_space"
    assert not (home / "full").exists()


def test_found_by_name_and_by_content(hand: Hand, home: Path, tmp_path: Path) -> None:
    (home / "a/Deep").mkdir(parents=True)
    (home / "a/Deep/NOTES.txt").write_text("one\ntwo needle\x1b three\n")
    (home / os.fsdecode(b"note\xff")).write_text("needle")
    (home / "big").write_bytes(bytes(5 * 2**20) + b"needle")
    os.mkfifo(home / "notes-fifo")
    (tmp_path / "notes-of-host").write_text("needle")
    (home / "out").symlink_to(tmp_path)
    (home.parent / ".wadah-trash").mkdir()
    (home.parent / ".wadah-trash/notes").write_text("needle")
    expected = {b"/root/a/Deep/NOTES.txt", b"/root/note\xff", b"/root/notes-fifo"}
    found = hand.search(b"note", b"/")
    assert {one for one in _paths(found) if one.startswith(b"/root/")} == expected
    assert not [one for one in _paths(found) if b"trash" in one]
    assert _paths(hand.search(b"*.TXT")) == [b"/root/a/Deep/NOTES.txt"]
    inside = hand.search(b"needle", content=True)
    assert [(b64decode(path), line, text) for path, _, _, line, text in inside.entries] == [
        (b"/root/a/Deep/NOTES.txt", 2, "two needle  three"),
        (b"/root/note\xff", 1, "needle"),
    ]
    assert inside.is_whole
    assert not hand.search(b"note", most=1).is_whole
    assert len(hand.search(b"note", most=1).entries) == 1
    for path in (b"/root/out", b"/none", b"/root/big"):
        with pytest.raises(RuntimeFault) as refused:
            hand.search(b"x", path)
        assert refused.value.code == "not_found"


def test_a_search_ends_in_time_and_says_so(hand: Hand, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.storage.arranging._SEARCH_S", 0.05)
    for number in range(300):
        (home / f"{number}").mkdir()
        (home / f"{number}/large").write_bytes(bytes(2**18))
    began = time.monotonic()
    found = hand.search(b"nothing", content=True)
    assert not found.is_whole
    assert not found.entries
    assert time.monotonic() - began < 15
