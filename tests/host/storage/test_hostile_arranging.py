"""What was found by attacking the file verbs: names, archives and trees that somebody made for them."""

import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.storage.arranging import Archive, Arranging, DeleteMany, Extract, Move
from runtime.storage.trees import Trees
from tests.host.conftest import Make
from tests.host.support.trees import as_base64


@pytest.fixture
def spec(make: Make) -> EnvironmentSpec:
    return make()


@pytest.fixture
def home(node: Node, spec: EnvironmentSpec) -> Path:
    return node.root_volume(spec.id) / "root"


@pytest.fixture
def arranging(node: Node) -> Arranging:
    return Arranging(Trees(node))


def _tar(*entries: tuple[str, bytes, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, leads_to in entries:
            one = tarfile.TarInfo(name)
            one.type, one.linkname = kind, leads_to
            archive.addfile(one)
    return made.getvalue()


def _zip(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, b"x")
    return made.getvalue()


def _code(work: Callable[[], object]) -> str:
    with pytest.raises(RuntimeFault) as refused:
        work()
    return refused.value.code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_tar(("n" * 300, tarfile.REGTYPE, "")), "name_too_long"),
        (_tar(("d/" + "n" * 256 + "/x", tarfile.REGTYPE, "")), "name_too_long"),
        (_zip("n" * 300), "name_too_long"),
        (_tar(("l", tarfile.SYMTYPE, "x" * 5000)), "bad_archive"),
        (_tar(("l", tarfile.SYMTYPE, "")), "bad_archive"),
        (_tar(("l", tarfile.LNKTYPE, "nowhere/at/all")), "bad_archive"),
    ],
    ids=["long", "long within", "long in a zip", "long link", "empty link", "second name of nothing"],
)
def test_what_cant_be_unpacked_is_said_to_be_so(
    arranging: Arranging, spec: EnvironmentSpec, home: Path, tmp_path: Path, data: bytes, code: str
) -> None:
    """Each was answered by: there is no such directory."""
    (home / "archive").write_bytes(data)
    work = Extract(verb="extract", path=as_base64(b"/root/archive"), into=as_base64(b"/root/out"))
    assert _code(lambda: arranging.archive(spec.id, work)) == code
    assert not (home / "out/nowhere").exists()
    (home / "there").mkdir()
    (tmp_path / "archive").write_bytes(data)
    if data[:2] != b"PK":  # what `cp` takes
        with (tmp_path / "archive").open("rb") as file:
            assert _code(lambda: arranging.trees.unpack(spec.id, b"/root/there", file.fileno())) == code


def test_a_name_that_gets_too_long_is_said_to_be(
    arranging: Arranging, spec: EnvironmentSpec, home: Path
) -> None:
    (home / ("z" * 255)).write_text("")
    path = as_base64(b"/root/" + b"z" * 255)
    work = Move(verb="copy", paths=[path], if_exists="keep_both")
    assert [code for _, code in arranging.arrange(spec.id, work).failed] == ["name_too_long"]


def test_a_search_among_long_paths_ends_with_what_it_has(
    arranging: Arranging, spec: EnvironmentSpec, home: Path
) -> None:
    """1,000 paths of 37,000 bytes were more than an answer holds, and nothing at all was found."""
    place = os.open(home, os.O_RDONLY)
    for _ in range(150):
        os.mkdir("d" * 250, dir_fd=place)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    for number in range(400):
        os.close(os.open(f"hit{number}", os.O_CREAT, dir_fd=place))
    os.close(place)
    found = arranging.search(spec.id, None, b"/root", b"hit", in_content=False, most=1000)
    assert 50 < len(found.entries) < 400
    assert not found.is_whole
    arranging.arrange(spec.id, DeleteMany(verb="delete_many", paths=[as_base64(b"/root/" + b"d" * 250)]))


def test_one_that_cant_be_deleted_keeps_nothing_else_in_the_trash(
    arranging: Arranging, spec: EnvironmentSpec, home: Path
) -> None:
    kept = home.parent / ".wadah-trash"
    kept.mkdir()
    for number in range(3):
        slot = kept / f"{10**18 + number:019d}-0123abcd"
        slot.mkdir()
        (slot / "path").write_text("/root/x")
    place = os.open(kept / f"{10**18:019d}-0123abcd", os.O_RDONLY)
    for _ in range(900):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    (home / "file").write_text("1")
    arranging.arrange(spec.id, DeleteMany(verb="delete_many", paths=[as_base64(b"/root/file")], trash=True))
    assert len(os.listdir(kept)) == 2  # the deep one, and the file


def test_who_is_told_to_give_way_leaves_nothing_half(node: Node, spec: EnvironmentSpec, home: Path) -> None:
    """Ten minutes of a node's places were had by an archive of a file of 10 TB that takes no room."""
    with (home / "sparse").open("wb") as file:
        file.truncate(10 * 2**40)

    def begun(end: Callable[[], None]) -> None:
        threading.Timer(1.5, end).start()

    work = Archive(
        verb="archive", paths=[as_base64(b"/root/sparse")], path=as_base64(b"/root/o.zip"), format="zip"
    )
    assert _code(lambda: Arranging(Trees(node, begun)).archive(spec.id, work)) == "gave_way"
    assert sorted(os.listdir(home)) == [".ssh", "sparse"]
