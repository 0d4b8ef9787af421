"""Files that come in parts: what was cut off goes on, and nothing of the tree leads elsewhere."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.node import Node
from runtime.storage import tree_program
from runtime.storage.arranging import Arranging, DeleteMany
from runtime.storage.tree_program.uploading import list_uploads
from runtime.storage.trees import Trees
from runtime.storage.uploads import Part, Unfinished, Uploaded, Uploads
from tests.host.conftest import Make
from tests.host.support.trees import as_base64

ID = "0123456789abcdef" * 2
MIB = 2**20


@pytest.fixture
def spec(make: Make) -> EnvironmentSpec:
    return make()


@pytest.fixture
def top(node: Node, spec: EnvironmentSpec) -> Path:
    return node.root_volume(spec.id)


class Hand:
    def __init__(self, node: Node, spec: EnvironmentSpec, aside: Path):
        self._uploads, self._id, self._aside = Uploads(Trees(node)), spec.id, aside

    def send(self, path: bytes, whole: bytes, offset: int, end: int, **more: object) -> Uploaded:
        self._aside.write_bytes(whole[offset:end])
        wanted = {"id": ID, "offset": offset, "bytes": end - offset, "size": len(whole), **more}
        data = os.open(self._aside, os.O_RDONLY)
        try:
            return self._uploads.take(self._id, path, Part.model_validate(wanted), data)
        finally:
            os.close(data)

    def unfinished(self) -> list[tuple[str, int, int]]:
        return [(one[0], one[2], one[4]) for one in self._uploads.unfinished(self._id).entries]

    def discard(self) -> None:
        self._uploads.discard(self._id, ID)


@pytest.fixture
def hand(node: Node, spec: EnvironmentSpec, tmp_path: Path) -> Hand:
    return Hand(node, spec, tmp_path / "part")


def _refused(hand: Hand, *args: object, **more: object) -> str:
    with pytest.raises(RuntimeFault) as refused:
        hand.send(*args, **more)  # type: ignore[arg-type]
    return refused.value.code


def test_a_file_in_parts_goes_on_where_it_stopped_and_is_equal(hand: Hand, top: Path) -> None:
    whole, path = os.urandom(5 * MIB + 7), b"/root/\xff\nlarge"
    target = os.fsencode(top) + path
    assert hand.send(path, whole, 0, 2 * MIB).model_dump() == {"offset": 2 * MIB, "is_whole": False}
    assert hand.unfinished() == [(ID, len(whole), 2 * MIB)]
    assert not os.path.lexists(target)
    assert hand.send(path, whole, 4 * MIB, 5 * MIB).offset == 2 * MIB  # what is between hasn't come
    hand.send(path, whole, MIB, 3 * MIB)  # said twice: an answer was lost
    assert hand.send(path, whole, 3 * MIB, len(whole), modified=1_700_000_000).is_whole
    seen = os.stat(target)
    assert hashlib.sha256(Path(os.fsdecode(target)).read_bytes()).digest() == hashlib.sha256(whole).digest()
    assert (seen.st_size, seen.st_mode & 0o7777, seen.st_mtime) == (len(whole), 0o644, 1_700_000_000)
    assert seen.st_uid == (top / "root").stat().st_uid
    assert hand.unfinished() == []
    assert os.listdir(top / ".wadah-uploads") == []
    assert (top / ".wadah-uploads").stat().st_mode & 0o7777 == 0o700


def test_one_that_has_all_but_no_name_yet_needs_its_last_byte_again(hand: Hand, top: Path) -> None:
    hand.send(b"/root/f", b"abcdef", 0, 5)
    part = top / ".wadah-uploads" / ID / "part"
    part.write_bytes(b"abcdef")  # ended between the last byte and the name
    assert hand.unfinished() == [(ID, 6, 5)]
    assert hand.send(b"/root/f", b"abcdef", 5, 6).is_whole
    assert (top / "root/f").read_bytes() == b"abcdef"


def test_what_is_replaced_keeps_owner_and_mode_and_a_taken_name_is_refused(hand: Hand, top: Path) -> None:
    old = top / "root/f"
    old.write_text("old")
    owner = top.stat().st_uid + 33
    os.chown(old, owner, owner)
    old.chmod(0o600)
    assert _refused(hand, b"/root/f", b"newer", 0, 2, if_exists="refuse") == "exists"
    assert hand.unfinished() == []
    hand.send(b"/root/f", b"newer", 0, 2)
    assert hand.send(b"/root/f", b"newer", 2, 5).is_whole
    assert (old.read_text(), old.stat().st_uid, old.stat().st_mode & 0o7777) == ("newer", owner, 0o600)
    assert hand.send(b"/root/f", b"third", 0, 5, if_exists="keep_both").is_whole
    assert (old.read_text(), (top / "root/f (2)").read_text()) == ("newer", "third")
    (top / "root/link").symlink_to("/etc/passwd")
    assert _refused(hand, b"/root/link", b"x", 0, 1) == "in_the_way"
    assert _refused(hand, b"/root", b"x", 0, 1) == "in_the_way"
    assert _refused(hand, b"/root/no/such", b"x", 0, 1) == "not_found"
    assert hand.unfinished() == []


def test_into_a_subvolume_that_was_made_inside(hand: Hand, top: Path) -> None:
    btrfs.create_subvolume(top / "root/inner")
    hand.send(b"/root/inner/f", b"abcdef", 0, 3)
    assert hand.send(b"/root/inner/f", b"abcdef", 3, 6).is_whole
    assert (top / "root/inner/f").read_bytes() == b"abcdef"
    assert os.listdir(top / "root/inner") == ["f"]
    assert hand.unfinished() == []


def test_one_without_room_is_refused_before_its_first_byte(hand: Hand, top: Path) -> None:
    whole = b"x" * MIB
    assert _refused(hand, b"/root/f", whole, 0, MIB, size=2**42) == "no_space"
    assert os.listdir(top / ".wadah-uploads") == []
    assert hand.send(b"/root/f", whole, 0, MIB // 2).offset == MIB // 2
    assert (top / ".wadah-uploads" / ID / "part").stat().st_blocks * 512 < 2 * MIB  # no more than has come


def test_what_is_stale_goes_and_what_is_discarded(
    hand: Hand, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.send(b"/root/f", b"abcdef", 0, 3)
    hand.discard()
    hand.discard()
    assert hand.unfinished() == []
    hand.send(b"/root/f", b"abcdef", 0, 3)
    soon = tree_program.source().replace("_UPLOAD_DAYS, _MOST_UPLOADS = 7,", "_UPLOAD_DAYS, _MOST_UPLOADS = 0,")
    assert soon != tree_program.source()
    monkeypatch.setattr(tree_program, "source", lambda: soon)
    assert hand.unfinished() == []
    assert os.listdir(top / ".wadah-uploads") == []


def test_no_more_than_a_hundred_begin(hand: Hand, top: Path) -> None:
    hand.send(b"/root/f", b"abcdef", 0, 3)
    for number in range(99):
        (top / ".wadah-uploads" / f"{number:032x}").mkdir()
    assert hand.send(b"/root/f", b"abcdef", 3, 4).offset == 4
    assert _refused(hand, b"/root/g", b"abcdef", 0, 3, id="f" * 32) == "too_many_uploads"


def test_what_runs_inside_turns_nothing_of_it_against_the_node(hand: Hand, top: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = top / ".wadah-uploads"
    place.symlink_to(outside)
    assert _refused(hand, b"/root/f", b"abcdef", 0, 3) == "in_the_way"
    assert os.listdir(outside) == []
    place.unlink()
    hand.send(b"/root/f", b"abcdef", 0, 3)
    part = place / ID / "part"
    for make in (lambda: os.mkfifo(part), lambda: part.symlink_to(outside / "it"), part.mkdir):
        part.rmdir() if part.is_dir() and not part.is_symlink() else part.unlink()
        make()
        assert _refused(hand, b"/root/f", b"abcdef", 3, 6) in {"in_the_way", "not_found"}
    assert os.listdir(outside) == []
    part.rmdir()
    (place / ID / "about").write_text('{"path": 3, "size": "x", "modified": []}')
    part.write_bytes(b"abc")
    (place / ("a" * 32)).write_text("no directory")
    os.mkfifo(place / ("b" * 32))
    assert hand.unfinished() == []  # and it didn't wait for one of them


def test_what_somebody_wrote_of_one_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the program itself: its container shows a tree in the same way."""
    monkeypatch.setattr("runtime.storage.tree_program.uploading.AFTER", str(tmp_path))
    written = [
        *("[" * 16_000, "9" * 9000, "\ud800"),
        '{"path": "L2Y=", "size": 1e999, "modified": null}',
        '{"path": "L2Y=", "size": 6, "modified": 1' + "0" * 30 + "}",
        '{"path": "L2Y=", "size": 6, "modified": -1}',
        '{"path": "' + "L2Y=" * 2000 + '", "size": 6, "modified": null}',
        '{"path": "", "size": true, "modified": true}',
        '{"path": "L2Y=", "size": 6, "modified": null}',
    ]
    for number, text in enumerate(written):
        slot = tmp_path / ".wadah-uploads" / f"{number:032x}"
        slot.mkdir(parents=True)
        (slot / "part").write_text("abc")
        (slot / "about").write_text(text, errors="surrogatepass")
    found = Unfinished.model_validate(list_uploads({"now_ns": time.time_ns()}))
    assert [int(one[0], 16) for one in found.entries] == [len(written) - 1]


def test_neither_they_nor_the_trash_go_when_somebody_sets_the_clock(
    hand: Hand, node: Node, spec: EnvironmentSpec, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year ahead, as the host's kernel would say; by the node's own clock it is the same moment."""
    ahead = "\nimport time as _t\n_wall, _wall_ns = _t.time, _t.time_ns\n" + (
        "_t.time = lambda: _wall() + 365 * 86_400\n_t.time_ns = lambda: _wall_ns() + 365 * 86_400 * 10**9\n"
    )
    source = tree_program.source()
    first = source.index("import ")
    hand.send(b"/root/f", b"abcdef", 0, 3)
    arranging = Arranging(Trees(node))
    for name in ("one", "two"):
        (top / "root" / name).write_text(name)
    arranging.arrange(spec.id, DeleteMany(verb="delete_many", paths=[as_base64(b"/root/one")], trash=True))
    monkeypatch.setattr(tree_program, "source", lambda: source[:first] + ahead.lstrip() + source[first:])
    arranging.arrange(spec.id, DeleteMany(verb="delete_many", paths=[as_base64(b"/root/two")], trash=True))
    assert hand.unfinished() == [(ID, 6, 3)]
    assert len(os.listdir(top / ".wadah-trash")) == 2
    assert hand.send(b"/root/f", b"abcdef", 3, 6).is_whole
