"""E02: archives as people have them become images; what can't is named by its kind, with what to do."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec, ImageState
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.images.conftest import ROOT, Entry, HandIn, file, folder, link, tar_of
from tests.host.support.audit import nothing_left
from tests.host.support.inside import sh

NULL: Entry = ("./dev/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b"")


@pytest.fixture(autouse=True)
def audited(node: Node, resident: EnvironmentSpec, hand_in: HandIn) -> Iterator[None]:
    with nothing_left(node):
        yield
        if (node.image("had")).exists():
            hand_in(b"x", name="had", wanted=False)


def _taken(node: Node, hand_in: HandIn, data: bytes, *words: str) -> Path:
    """The tree that it became."""
    report = hand_in(data, name="had")
    assert report.state is ImageState.READY, f"{report.message} {report.next_step}"
    for word in words:
        assert word in report.message, report.message
    return node.image("had")


def test_devices_are_left_out_and_counted(node: Node, hand_in: HandIn) -> None:
    data = tar_of(
        *ROOT,
        folder("./dev"),
        NULL,
        ("./dev/sda", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0}, b""),
        link("./dev/other", "./dev/null", tarfile.LNKTYPE),
        ("./var/spool/postfix/dev/urandom", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 9}, b""),
        file("./etc/after", b"x" * 5000),
    )
    tree = _taken(node, hand_in, data, "device nodes left out: 4")
    assert not list((tree / "dev").iterdir())
    assert (tree / "etc/after").read_bytes() == b"x" * 5000, "what follows one comes through whole"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_pax_headers_beside_devices_come_through(node: Node, hand_in: HandIn, form: int) -> None:
    long = "./etc/" + "n" * 200
    odd = ("./dev/" + "d" * 150, {"type": tarfile.CHRTYPE, "pax_headers": {"comment": "x" * 700}}, b"")
    data = tar_of(*ROOT, file(long, b"1" * 70_000), odd, file(long + "2", b"2" * 11), format=form)
    tree = _taken(node, hand_in, data, "device nodes left out: 1")
    assert (tree / long).stat().st_size == 70_000
    assert (tree / (long + "2")).read_bytes() == b"2" * 11


def test_without_an_entry_for_the_root_it_is_open_to_users(node: Node, hand_in: HandIn) -> None:
    tree = _taken(node, hand_in, tar_of(*ROOT[1:]))
    assert tree.stat().st_mode & 0o7777 == 0o755


def test_a_closed_root_is_kept_and_told(node: Node, hand_in: HandIn) -> None:
    tree = _taken(node, hand_in, tar_of(folder(".", 0o700), *ROOT[1:]), "closed to its users")
    assert tree.stat().st_mode & 0o7777 == 0o700


def test_absolute_names_are_names_below_the_root(node: Node, hand_in: HandIn) -> None:
    absolute = [(f"/{name.removeprefix('./')}", fields, content) for name, fields, content in ROOT[1:]]
    hard = link("/etc/second", "/etc/os-release", tarfile.LNKTYPE)
    tree = _taken(node, hand_in, tar_of(*absolute, hard))
    assert (tree / "etc/second").samefile(tree / "etc/os-release")


def test_a_volume_s_label_is_no_file(node: Node, hand_in: HandIn) -> None:
    tree = _taken(node, hand_in, tar_of(("My root", {"type": b"V"}, b""), *ROOT))
    assert not (tree / "My root").exists()


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "run", "tmp"])
def test_a_link_where_a_directory_is_wanted_becomes_one(node: Node, hand_in: HandIn, name: str) -> None:
    tree = _taken(node, hand_in, tar_of(*ROOT, link(f"./{name}", "/etc")))
    assert (tree / name).is_dir()
    assert not (tree / name).is_symlink()


_ENTRIES = ("01000600ffffffff", "02000600e8030000", "04000400ffffffff", "10000600ffffffff", "20000000ffffffff")


@pytest.mark.parametrize("who", ["1000", "app", "elsewhere:rw-:1000"])
def test_acls_come_through_for_whom_the_tree_calls_so(node: Node, hand_in: HandIn, who: str) -> None:
    rights = "" if ":" in who else ":rw-"
    text = f"user::rw-\nuser:{who}{rights}\ngroup::r--\nmask::rw-\nother::---\n"
    data = tar_of(
        *ROOT,
        file("./etc/s", pax_headers={"SCHILY.acl.access": text}, mode=0o660),
        file("./etc/passwd", b"root:x:0:0::/:\napp:x:1000:1000::/:\n"),
    )
    tree = _taken(node, hand_in, data)
    acl = os.getxattr(tree / "etc/s", "system.posix_acl_access")
    assert acl == bytes.fromhex("02000000" + "".join(_ENTRIES))


def test_hard_linked_files_of_ours_become_files_of_their_own(
    node: Node, hand_in: HandIn, busybox: str, make: Make
) -> None:
    packed = subprocess.run(
        ["tar", "-C", node.image(busybox), "--numeric-owner", "-c", "."],
        check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
    end = packed.rstrip(b"\0")
    end += b"\0" * (-len(end) % 512)
    linked = tar_of(*(link(f"./etc/{one}2", f"./etc/{one}", tarfile.LNKTYPE) for one in ("hosts", "shadow")))
    _taken(node, hand_in, end + linked)
    spec = make(image="had", credentials={"revision": 1, "root_password_hash": "$6$salt$hash"})
    seen = sh(node, spec, "grep -c salt /etc/shadow; stat -c %h%a /etc/shadow; head -c 5 /etc/shadow2")
    assert seen.split() == ["1", "1640", "root:"]


@pytest.mark.parametrize("top", ["rootfs", "root.x86_64"])
def test_one_leading_directory_is_taken_away(node: Node, hand_in: HandIn, top: str) -> None:
    """As LXD's and Incus' images and Arch's bootstrap have it."""
    inner = [(f"{top}/{name.removeprefix('./')}", fields, content) for name, fields, content in ROOT[1:]]
    beside = [file("metadata.yaml"), folder("templates"), file("templates/hosts.tpl"), file("version")]
    tree = _taken(node, hand_in, tar_of(*beside, folder(top, 0o755), *inner), "Tiny")
    assert sorted(one.name for one in tree.iterdir()) == sorted(
        ("bin", "etc", "sbin", "usr", "root", "dev", "proc", "sys", "run", "tmp")
    )
    assert tree.stat().st_mode & 0o7777 == 0o755


_ELF = b"\x7fELF\x02\x01\x01"
REFUSED = {
    "docker export": (
        (*(one for one in ROOT if one[0] != "./sbin/init"), file("./.dockerenv", b"")),
        "container without an init",
    ),
    "an init that leads nowhere": (
        (*(one for one in ROOT if one[0] != "./sbin/init"), link("./sbin/init", "/lib/systemd/systemd")),
        "leads to nothing",
    ),
    "an init without its shell": (
        (*ROOT[:-1], file("./sbin/init", b"#!/bin/zsh\n", mode=0o755)),
        "a shell that isn't in the image",
    ),
    "an init that nobody may run": ((*ROOT[:-1], file("./sbin/init", b"#!/bin/false\n")), "executable"),
    "an init of text": ((*ROOT[:-1], file("./sbin/init", b"hello\n", mode=0o755)), "neither a program nor"),
    "another processor": (
        (
            *ROOT[:-1],
            file("./sbin/init", _ELF + bytes(11) + b"\xf3\0" + bytes(64), mode=0o755),
        ),
        "it is for riscv",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_not_run_is_named_with_what_to_do(hand_in: HandIn, kind: str) -> None:
    entries, words = REFUSED[kind]
    hand_in.refused(tar_of(*entries), words)
    assert hand_in.reports[-1].next_step


def test_a_program_without_its_loader_is_not_whole(hand_in: HandIn) -> None:
    program = Path("/usr/bin/env").read_bytes()[:16_384]
    hand_in.refused(tar_of(*ROOT[:-1], file("./sbin/init", program, mode=0o755)), "the archive is not whole")


def test_tens_of_thousands_of_devices_take_no_memory(node: Node, hand_in: HandIn) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, fields, content in ROOT:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
        for number in range(30_000):
            info = tarfile.TarInfo(f"./dev/n{number}")
            info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
            archive.addfile(info)
    _taken(node, hand_in, buffer.getvalue(), "device nodes left out: 30000")
