"""Files moved, copied, deleted and given away from outside: nothing of the tree leads elsewhere."""

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.node import Node
from runtime.storage.arranging import Arranged, Arranging, ChangeMode, DeleteMany, Move, OfTrash
from runtime.storage.trees import Trees
from tests.host.conftest import Make


@pytest.fixture
def spec(make: Make) -> EnvironmentSpec:
    return make()


@pytest.fixture
def home(node: Node, spec: EnvironmentSpec) -> Path:
    return node.root_volume(spec.id) / "root"


class Hand:
    """What a person asks of the files of one environment."""

    def __init__(self, node: Node, spec: EnvironmentSpec):
        self._arranging, self._id = Arranging(Trees(node)), spec.id

    def move(self, *paths: bytes, verb: str = "move", **more: Any) -> Arranged:
        into = more.pop("into", None)
        work = {
            "into": None if into is None else _64(into),
            "name": _64(more.pop("name", b"")),
            **more,
        }
        return self._done(Move.model_validate({"verb": verb, "paths": [*map(_64, paths)], **work}))

    def copy(self, *paths: bytes, **more: Any) -> Arranged:
        return self.move(*paths, verb="copy", **more)

    def delete(self, *paths: bytes, trash: bool = False) -> Arranged:
        return self._done(DeleteMany(verb="delete_many", paths=[*map(_64, paths)], trash=trash))

    def change(self, *paths: bytes, **more: Any) -> Arranged:
        return self._done(ChangeMode(verb="change_mode", paths=[*map(_64, paths)], **more))

    def trash(self) -> dict[bytes, str]:
        return {b64decode(path): pk for pk, path, *_ in self._arranging.trash(self._id).entries}

    def of_trash(self, verb: str, *ids: str, is_all: bool = False) -> Arranged:
        paths = [_64(one.encode()) for one in ids]
        return self._done(OfTrash.model_validate({"verb": verb, "paths": paths, "is_all": is_all}))

    def _done(self, work: Any) -> Arranged:
        return self._arranging.arrange(self._id, work)


@pytest.fixture
def hand(node: Node, spec: EnvironmentSpec) -> Hand:
    return Hand(node, spec)


def _64(path: bytes) -> str:
    return b64encode(path).decode()


def _codes(done: Arranged) -> list[str]:
    return [code for _, code in done.failed]


def test_renamed_moved_and_never_over_something_by_accident(hand: Hand, home: Path) -> None:
    odd = b"\xff\nodd"
    (home / "a").write_text("a")
    (home / "b").write_text("b")
    (home / "d").mkdir()
    (home / "d" / "inner").write_text("i")
    assert hand.move(b"/root/a", name=odd).done == 1
    assert (home / os.fsdecode(odd)).read_text() == "a"
    assert _codes(hand.move(b"/root/" + odd, name=b"b")) == ["exists"]
    assert (home / "b").read_text() == "b"
    assert hand.move(b"/root/" + odd, name=b"b", if_exists="replace").done == 1
    assert (home / "b").read_text() == "a"
    assert not (home / os.fsdecode(odd)).exists()
    assert _codes(hand.move(b"/root/b", name=b"d", if_exists="replace")) == ["in_the_way"]
    assert _codes(hand.move(b"/root/d", into=b"/root/d")) == ["into_itself"]
    assert _codes(hand.move(b"/", into=b"/root")) == ["not_allowed"]
    done = hand.move(b"/root/b", b"/root/none", into=b"/root/d")
    assert (done.done, _codes(done)) == (1, ["not_found"])
    assert sorted(os.listdir(home / "d")) == ["b", "inner"]
    for bad in (b"a/b", b"..", b"\0", b"n" * 256):
        with pytest.raises(RuntimeFault, match="a name has"):
            hand.move(b"/root/d/b", name=bad)
    with pytest.raises(RuntimeFault):
        hand.move(b"/root/../../x", into=b"/root")


def test_in_and_out_of_a_subvolume(hand: Hand, home: Path) -> None:
    btrfs.create_subvolume(home / "nested")
    (home / "tree").mkdir()
    (home / "tree" / "file").write_text("1")
    assert hand.move(b"/root/tree", into=b"/root/nested").done == 1
    assert (home / "nested/tree/file").read_text() == "1"
    assert not (home / "tree").exists()
    assert _codes(hand.delete(b"/root/nested/tree", trash=True)) == ["no_trash"]
    assert hand.delete(b"/root/nested/tree").done == 1
    assert not os.listdir(home / "nested")


def test_copies_have_all_and_are_whole_or_not_there(hand: Hand, home: Path) -> None:
    (home / "site/inner").mkdir(parents=True)
    page = home / "site/inner/page.html"
    page.write_bytes(b"good" * 50_000)
    os.chown(page, 33, 34)
    page.chmod(0o4750)
    os.setxattr(page, "user.kind", b"page")
    os.utime(page, ns=(10**18, 10**18))
    (home / "site/way").symlink_to("/etc/shadow")
    os.mkfifo(home / "site/fifo")
    assert hand.copy(b"/root/site", name=b"again").done == 1
    new = home / "again/inner/page.html"
    seen = new.stat()
    assert (seen.st_uid, seen.st_gid, oct(seen.st_mode), seen.st_mtime_ns) == (33, 34, "0o104750", 10**18)
    assert (os.getxattr(new, "user.kind"), new.read_bytes()) == (b"page", b"good" * 50_000)
    assert (home / "again/way").readlink() == Path("/etc/shadow")
    assert not (home / "again/fifo").exists()
    assert _codes(hand.copy(b"/root/site", name=b"again")) == ["exists"]
    assert hand.copy(b"/root/site/inner/page.html", into=b"/root/site/inner", if_exists="keep_both").done == 1
    assert sorted(os.listdir(home / "site/inner")) == ["page (2).html", "page.html"]
    assert _codes(hand.copy(b"/root/site", into=b"/root/site/inner")) == ["into_itself"]
    assert _codes(hand.copy(b"/root/site/fifo", into=b"/root")) == ["not_allowed"]
    assert not list(home.rglob(".wadah-*"))


def test_a_full_disk_leaves_nothing_of_a_copy(hand: Hand, home: Path) -> None:
    btrfs.create_subvolume(home / "nested")
    (home / "tree").mkdir()
    (home / "tree/first").write_bytes(os.urandom(2**20))
    with (home / "tree/second").open("wb") as big, pytest.raises(OSError, match="quota"):
        while True:
            big.write(os.urandom(2**20))
            big.flush()
            os.fdatasync(big.fileno())
    assert _codes(hand.copy(b"/root/tree", into=b"/root/nested")) in ([], ["no_space"])
    assert not [one for one in os.listdir(home / "nested") if one.startswith(".wadah-")]


def test_links_swapped_in_lead_nowhere(hand: Hand, home: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("of the host")
    tmp_path.chmod(0o777)
    (home / "out").symlink_to(tmp_path)
    (home / "file").write_text("1")
    assert _codes(hand.move(b"/root/file", into=b"/root/out")) == ["not_found"]
    assert _codes(hand.copy(b"/root/out/kept", into=b"/root")) == ["not_found"]
    assert _codes(hand.delete(b"/root/out/kept")) == ["not_found"]
    assert _codes(hand.change(b"/root/out/kept", mode=0o777)) == ["not_found"]
    assert hand.change(b"/root/out", owner="12", is_deep=True).done == 1  # the link itself
    assert (home / "out").lstat().st_uid == 12
    assert hand.delete(b"/root/out").done == 1
    assert (tmp_path / "kept").read_text() == "of the host"
    assert tmp_path.stat().st_uid == os.getuid()
    assert os.listdir(tmp_path) == ["kept"]


def test_owner_by_name_and_mode(hand: Hand, home: Path) -> None:
    etc = home.parent / "etc"
    (etc / "passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:1234:5::/:/bin/sh\nhuge:x:99999999:5::/:\n")
    (etc / "group").write_text("root:x:0:\nstaff:x:50:web\n")
    (home / "tree/inner").mkdir(parents=True)
    (home / "tree/inner/file").write_text("1")
    os.mkfifo(home / "tree/fifo")
    (home / "tree/way").symlink_to("/etc/passwd")
    assert hand.change(b"/root/tree", mode=0o640, owner="web", group="staff", is_deep=True).done == 1
    for name, mode in (("tree", 0o750), ("tree/inner", 0o750), ("tree/inner/file", 0o640)):
        seen = (home / name).stat()
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o7777) == (1234, 50, mode), name
    assert (home / "tree/way").lstat().st_uid == 1234
    assert (etc / "passwd").stat().st_uid == 0
    assert hand.change(b"/root/tree/inner/file", mode=0o4711).done == 1
    assert (home / "tree/inner/file").stat().st_mode & 0o7777 == 0o4711
    assert _codes(hand.change(b"/root/tree/fifo", mode=0o600)) == ["not_allowed"]
    for owner in ("nobody-here", "huge", "65536", "-1"):
        with pytest.raises(RuntimeFault) as refused:
            hand.change(b"/root/tree", owner=owner)
        assert refused.value.code == "no_such_user", owner
    (etc / "passwd").unlink()
    os.mkfifo(etc / "passwd")
    with pytest.raises(RuntimeFault, match="no user"):
        hand.change(b"/root/tree", owner="web")


def test_the_trash_gives_back_and_is_emptied(hand: Hand, home: Path) -> None:
    (home / "site/inner").mkdir(parents=True)
    (home / "site/inner/page").write_text("good")
    assert hand.trash() == {}
    done = hand.delete(b"/root/site/inner", b"/root/nothing", b"/", trash=True)
    assert (done.done, _codes(done)) == (1, ["not_found", "not_allowed"])
    assert not (home / "site/inner").exists()
    assert (home.parent / ".wadah-trash").stat().st_mode & 0o7777 == 0o700
    assert list(hand.trash()) == [b"/root/site/inner"]
    (home / "site").rmdir()
    (pk,) = hand.trash().values()
    assert hand.of_trash("restore_trash", pk).done == 1
    assert (home / "site/inner/page").read_text() == "good"
    assert hand.trash() == {}
    hand.delete(b"/root/site", trash=True)
    (home / "site").mkdir()
    (pk,) = hand.trash().values()
    assert _codes(hand.of_trash("restore_trash", pk)) == ["exists"]
    assert _codes(hand.of_trash("restore_trash", "../../etc")) == ["not_found"]
    assert _codes(hand.of_trash("empty_trash", "..")) == ["not_found"]
    assert hand.of_trash("empty_trash", pk).done == 1
    assert hand.trash() == {}
    hand.delete(b"/root/site", trash=True)
    assert hand.of_trash("empty_trash", is_all=True).done == 1
    assert os.listdir(home.parent / ".wadah-trash") == []
    assert hand.of_trash("empty_trash", is_all=True).done == 0


def test_what_somebody_inside_makes_of_the_trash_leads_nowhere(hand: Hand, home: Path, tmp_path: Path) -> None:
    kept, top = home.parent / ".wadah-trash", home.parent
    (home / "file").write_text("1")
    kept.symlink_to(tmp_path)
    assert _codes(hand.delete(b"/root/file", trash=True)) == ["in_the_way"]
    assert not os.listdir(tmp_path)
    kept.unlink()
    kept.mkdir()
    slot = kept / "1700000000000000000-0123abcd"
    (tmp_path / "path").write_text("/root/there")
    (tmp_path / "it").write_text("of the host")
    slot.symlink_to(tmp_path)
    assert hand.trash() == {}
    assert _codes(hand.of_trash("restore_trash", slot.name)) == ["not_found"]
    slot.unlink()
    slot.mkdir()
    (slot / "it").write_text("x")
    os.mkfifo(slot / "path")
    assert hand.trash() == {}
    (slot / "path").unlink()
    for bad in ("/root/../../x", "", "a\0b", "x" * 5000):
        (slot / "path").write_text(bad)
        assert _codes(hand.of_trash("restore_trash", slot.name)) == ["in_the_way"], bad
    (top / "way").symlink_to(tmp_path)
    (slot / "path").write_text("/way/x")
    assert _codes(hand.of_trash("restore_trash", slot.name)) == ["not_found"]
    assert sorted(os.listdir(tmp_path)) == ["it", "path"]


def test_what_is_old_and_what_is_too_much_goes_with_the_next_deletion(hand: Hand, home: Path) -> None:
    kept = home.parent / ".wadah-trash"
    kept.mkdir()
    for number in range(1005):
        slot = kept / f"{4 * 10**18 + number:019d}-0123abcd"
        slot.mkdir()
        (slot / "path").write_text("/root/x")
        (slot / "it").write_text("x")
    old = kept / f"{10**18:019d}-0123abcd"
    old.mkdir()
    (home / "file").write_text("1")
    hand.delete(b"/root/file", trash=True)
    assert not old.exists()
    assert len(os.listdir(kept)) == 1000
