"""E01, E10: an archive that would reach out of its tree is refused with a sentence, or contained."""

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, ImageState
from runtime.engine import Engine
from runtime.node import IMPORT_SLOT, Node
from tests.host.conftest import Make
from tests.host.images.conftest import ROOT, HandIn, file, folder, link, tar_of
from tests.host.support.audit import nothing_left
from tests.host.support.inside import sh
from tests.host.support.node import Specs

CANARY = Path("/tmp/wadah-e01-canary")


@pytest.fixture(autouse=True)
def audited(node: Node, resident: EnvironmentSpec) -> Iterator[None]:
    CANARY.write_text("untouched")
    with nothing_left(node):
        yield
        shutil.rmtree(node.home / "panel", ignore_errors=True)
    assert CANARY.read_text() == "untouched"
    CANARY.unlink()


HOSTILE = {
    "two dots": ((file("../../../../../../tmp/wadah-e01-canary", b"taken"),), "leads out of it"),
    "two dots in the middle": ((file("./etc/../../../tmp/wadah-e01-canary", b"taken"),), "leads out of it"),
    "link, then written through": (
        (link("./out", "/tmp"), file("./out/wadah-e01-canary", b"taken")),
        "behind a symbolic link",
    ),
    "relative link, then written through": (
        (link("./out", "../../../../tmp"), file("./out/wadah-e01-canary", b"taken")),
        "behind a symbolic link",
    ),
    "chain of links": (
        (link("./a", "b"), link("./b", "/tmp"), file("./a/wadah-e01-canary", b"taken")),
        "behind a symbolic link",
    ),
    "hard link out by dots": ((link("./passwd", "../../../etc/passwd", tarfile.LNKTYPE),), "hard link"),
    "owner beyond the range": ((file("./etc/x", uid=1_879_048_192),), "65535 is the highest"),
    "pax path over a harmless name": (
        (("./harmless", {"pax_headers": {"path": "../../tmp/wadah-e01-canary"}}, b"taken"),),
        "leads out of it",
    ),
    "absolute, behind a link": (
        (link("/out", "/tmp"), file("/out/wadah-e01-canary", b"taken")),
        "behind a symbolic link",
    ),
    "very deep": ((folder("./" + "d/" * 300),), "deeper than"),
    "very long": ((file("./" + "x/" + "y" * 4100),), "longer than"),
    "kind unknown": ((("./odd", {"type": b"Z"}, b""),), "no use for"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_e01_what_reaches_out_is_refused_by_name(hand_in: HandIn, name: str) -> None:
    entries, words = HOSTILE[name]
    hand_in.refused(gzip.compress(tar_of(*ROOT, *entries)), words)


def _broken(data: bytes, at: int, with_bytes: bytes) -> bytes:
    """A header with other bytes and the right checksum again (ustar: the sum of all, its own as blanks)."""
    header = bytearray(data[:512])
    header[at : at + len(with_bytes)] = with_bytes
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


PLAIN = tar_of(file("./etc/x", b"x" * 600), *ROOT, format=tarfile.USTAR_FORMAT)
ODD = {
    "nothing": b"\0",
    "no archive": b"this is no archive" * 100,
    "JSON": b'{"a": 1}' * 100,
    "cut off in a file": PLAIN[:900],
    "cut off in a header": PLAIN[: 512 * 3 + 100],
    "negative size": _broken(PLAIN, 124, b"\xff" * 12),
    "huge size": _broken(PLAIN, 124, b"\x80" + b"\0" * 3 + b"\x7f" * 8),
    "wrong checksum": PLAIN[:148] + b"777777\0 " + PLAIN[156:],
    "one archive behind another": tar_of(*ROOT) + tar_of(file("./etc/passwd", b"taken")),
    "damaged gzip": gzip.compress(tar_of(*ROOT))[:-40] + b"x" * 40,
    "cut off gzip": gzip.compress(os.urandom(2000) + tar_of(*ROOT))[:1500],
    "gzip of nothing": gzip.compress(b""),
    "empty archive": tar_of(),
}


@pytest.mark.parametrize("name", ODD)
def test_e01_what_is_no_whole_archive_is_refused(hand_in: HandIn, name: str) -> None:
    hand_in.refused(ODD[name])


def test_e01_a_sparse_terabyte_is_refused(hand_in: HandIn, tmp_path: Path) -> None:
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 2**40)
    said = subprocess.run(
        ["tar", "--sparse", "--format=gnu", "-C", tmp_path, "-c", "./sparse"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    hand_in.refused(said.stdout, "MiB together")


def test_e01_a_hard_link_to_a_link_stays_inside(hand_in: HandIn, node: Node) -> None:
    data = tar_of(
        *ROOT,
        link("./soft", "/tmp/wadah-e01-canary"),
        link("./hard", "./soft", tarfile.LNKTYPE),
        file("./hard", b"taken"),
    )
    report = hand_in(data, name="linked")
    assert report.state in (ImageState.READY, ImageState.FAILED)
    hand_in(data, name="linked", wanted=False)


def test_e01_the_later_of_two_names_counts(hand_in: HandIn, node: Node) -> None:
    report = hand_in(tar_of(*ROOT, file("./etc/x", b"first"), file("./etc/x", b"second")), name="twice")
    assert report.state is ImageState.READY, report.message
    assert (node.image("twice") / "etc/x").read_bytes() == b"second"
    hand_in(b"x", name="twice", wanted=False)


def test_e01_without_an_init_it_is_refused(hand_in: HandIn) -> None:
    hand_in.refused(tar_of(folder("."), file("./etc/os-release")), "no /sbin/init")


def test_e01_what_is_fine_becomes_an_image_that_starts(
    hand_in: HandIn, node: Node, busybox: str, make: Make, engine: Engine, specs: Specs
) -> None:
    """busybox, packed by tar(1) and zstd: owners, modes, links and file capabilities come through."""
    said = subprocess.run(
        ["tar", "-C", node.image(busybox), "--numeric-owner", "--zstd", "-c", "."],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    report = hand_in(said.stdout, name="imported")
    assert report.state is ImageState.READY, report.message
    assert report.message.startswith("BusyBox")
    assert report.bytes > 0
    spec = make(image="imported")
    assert sh(node, spec, "id -u; stat -c %u:%g:%a /etc/shadow /tmp").split() == ["0", "0:0:640", "0:0:1777"]
    engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    hand_in(b"x", name="imported", wanted=False)
    assert not node.image("imported").exists()


def test_e01_it_says_what_the_system_calls_itself_and_nothing_odd(hand_in: HandIn) -> None:
    report = hand_in(tar_of(*ROOT), name="named")
    assert report.message == f"Tiny [31m1: {len(ROOT)} entries"
    hand_in(b"x", name="named", wanted=False)


@pytest.mark.parametrize("kind", ["fifo", "link", "huge", "directory"])
def test_e05_an_odd_os_release_is_not_read(hand_in: HandIn, kind: str) -> None:
    entry = {
        "fifo": ("./usr/release", {"type": tarfile.FIFOTYPE}, b""),
        "link": link("./usr/release", "/etc/shadow"),
        "huge": file("./usr/release", b"PRETTY_NAME=x\n" * 10_000),
        "directory": folder("./usr/release"),
    }[kind]
    rest = tuple(one for one in ROOT if one[0] != "./etc/os-release")
    report = hand_in(tar_of(*rest, entry, link("./etc/os-release", "../usr/release")), name="odd")
    assert report.state is ImageState.READY, report.message
    assert report.message.startswith("a system")
    hand_in(b"x", name="odd", wanted=False)


def test_e01_while_it_unpacks_its_root_is_nobody(hand_in: HandIn, node: Node) -> None:
    """What is unpacked belongs to ids as they are inside; outside of the container they are its own range's."""
    data = tar_of(*ROOT, file("./etc/of-user", uid=1000, gid=65535))
    assert hand_in(data, name="owned").state is ImageState.READY
    seen = (node.image("owned") / "etc/of-user").stat()
    assert (seen.st_uid, seen.st_gid) == (1000, 65535)
    assert node.first_uid(IMPORT_SLOT) > node.first_uid(node.settings.first_slot + node.settings.slots - 1)
    hand_in(b"x", name="owned", wanted=False)


def test_e10_another_checksum_is_refused(hand_in: HandIn) -> None:
    hand_in.refused(tar_of(*ROOT), "sha256 is another", sha256=hashlib.sha256(b"other").hexdigest())


def test_e10_another_size_is_refused(hand_in: HandIn) -> None:
    hand_in.refused(tar_of(*ROOT), "no plain file", size=77)


@pytest.mark.parametrize(
    "how", ["link to a file", "hard link", "directory", "fifo", "gone", "archives is a link"]
)
def test_e10_what_the_panel_puts_in_its_place_is_not_followed(
    hand_in: HandIn, node: Node, how: str, tmp_path: Path
) -> None:
    from runtime.jobs.images import ensure_image

    good = hand_in(tar_of(*ROOT), name="swapped")
    assert good.state is ImageState.READY
    hand_in(b"x", name="swapped", wanted=False)
    data = tar_of(*ROOT)
    assert hand_in(data, name="swapped", sha256="0" * 64).state is ImageState.FAILED
    staged, elsewhere = hand_in.last, node.home / "elsewhere"
    elsewhere.write_bytes(data)
    staged.unlink()
    if how == "link to a file":
        staged.symlink_to(elsewhere)
    elif how == "hard link":
        os.link(elsewhere, staged)
    elif how == "directory":
        staged.mkdir()
    elif how == "fifo":
        os.mkfifo(staged)
    elif how == "archives is a link":
        staged.parent.rename(node.home / "moved")
        (node.home / "moved" / staged.name).write_bytes(data)
        staged.parent.symlink_to(node.home / "moved")
    right = hand_in.spec.model_copy(
        update={
            "revision": 9,
            "archive": hand_in.spec.archive.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()}),  # type: ignore[union-attr]
        }
    )
    ensure_image(node, right, hand_in.reports.append)
    assert hand_in.reports[-1].state is ImageState.FAILED
    assert not node.image("swapped").exists()
    elsewhere.unlink()
    shutil.rmtree(node.home / "moved", ignore_errors=True)
    if (node.home / "panel" / "archives").is_symlink():
        (node.home / "panel" / "archives").unlink()
