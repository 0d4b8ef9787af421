"""Top, diff, cp and attach: what is told is what is there, and an archive reaches nothing but its directory."""

import io
import tarfile
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest

from runtime.contract import Limits, Purpose
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.console.conftest import Client

Hand = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture
def hand(agent: Client, node: Node) -> Hand:
    """Stages bytes as the panel does, and has them unpacked."""

    def handed(environment_id: UUID, path: str, data: bytes, *, read_only: bool = False, size: int = 0):  # type: ignore[no-untyped-def]
        place, name = node.home / "panel" / "archives", uuid4()
        place.mkdir(parents=True, exist_ok=True)
        (place / str(name)).write_bytes(data)
        query = urlencode({"path": b64encode(path.encode())})
        body = {"archive": str(name), "bytes": size or len(data)}
        ticket = agent.ticket(environment_id, Purpose.FILES, read_only=read_only)
        found = agent.request("POST", f"/v1/environments/{environment_id}/unpack?{query}", ticket, body)
        (place / str(name)).unlink()
        return found

    return handed


def _tar(*entries: tuple[str, bytes | str | None, dict[str, object]], mode: str = "w") -> bytes:
    """Entries by name: bytes are a file, None says `type` itself."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data, more in entries:
            info = tarfile.TarInfo(name)
            for key, value in more.items():
                setattr(info, key, value)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                archive.addfile(info)
    return made.getvalue()


def test_top_tells_of_each_process_as_inside(agent: Client, make: Make) -> None:
    spec = make()
    agent.exec(spec.id, "sh", "-c", "sleep 400 & echo")
    path = f"/v1/environments/{spec.id}/processes"
    status, said = agent.request("GET", path, agent.ticket(spec.id, Purpose.KERNEL))
    assert status == 200, said
    first, *others = said["processes"]
    assert (first["pid"], first["parent"], first["user"]) == (1, 0, "root")
    assert first["memory_bytes"] > 0
    slept = next(one for one in others if one["name"] in ("sleep", "busybox"))
    _, seen = agent.exec(spec.id, "sh", "-c", f"readlink /proc/{slept['pid']}/exe")
    assert seen["stdout"].strip() == slept["program"]
    assert said["total"] == len(said["processes"])


def test_a_process_that_names_itself_oddly_is_told_without_harm(agent: Client, make: Make) -> None:
    spec = make()
    script = "mkdir '/tmp/o) Z 1\n\x1b[2J'; cd /tmp/o*; cp /bin/busybox sleep; ./sleep 300 & sleep 0.1"
    agent.exec(spec.id, "sh", "-c", script)
    path = f"/v1/environments/{spec.id}/processes"
    _, said = agent.request("GET", path, agent.ticket(spec.id, Purpose.KERNEL))
    odd = [one for one in said["processes"] if "/tmp/o" in one["program"]]
    assert odd, said
    assert all(value.isprintable() for one in said["processes"] for value in (one["name"], one["program"]))


def test_diff_tells_what_is_different_from_the_image(agent: Client, node: Node, make: Make) -> None:
    spec = make()
    root = node.root_volume(spec.id)
    (root / "root" / "added").write_text("12345")
    path = f"/v1/environments/{spec.id}/changes?most=1000"
    status, said = agent.request("GET", path, agent.ticket(spec.id, Purpose.FILES))
    assert status == 200, said
    found = {b64decode(one[1]): (one[0], one[4]) for one in said["changes"]}
    assert found[b"/root/added"] == ("added", 5)
    assert b"/bin/busybox" not in found
    assert said["is_whole"]


def test_an_archive_comes_in_as_it_is_packed(hand: Hand, node: Node, make: Make, agent: Client) -> None:
    spec = make()
    root = node.root_volume(spec.id)
    (root / "srv").mkdir(exist_ok=True)
    data = _tar(
        ("site", None, {"type": tarfile.DIRTYPE, "mode": 0o750, "uid": 33, "gid": 33}),
        ("site/page", b"hello", {"mode": 0o640, "uid": 1000, "mtime": 1_000_000}),
        ("site/second", None, {"type": tarfile.LNKTYPE, "linkname": "site/page"}),
        ("site/way", None, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("site/pipe", None, {"type": tarfile.FIFOTYPE}),
        ("site/disk", None, {"type": tarfile.BLKTYPE, "devmajor": 7}),
        mode="w:gz",
    )
    status, said = hand(spec.id, "/srv", data)
    assert (status, said) == (200, {"entries": 4, "skipped": 2})
    page = root / "srv" / "site" / "page"
    assert (page.read_bytes(), page.stat().st_uid, page.stat().st_mode & 0o7777) == (b"hello", 1000, 0o640)
    assert page.stat().st_mtime == 1_000_000
    assert page.samefile(root / "srv" / "site" / "second")
    assert (root / "srv" / "site" / "way").readlink() == Path("/etc/passwd")
    _, seen = agent.exec(spec.id, "cat", "/srv/site/second")
    assert seen["stdout"] == "hello"
    assert hand(spec.id, "/srv", data)[0] == 200  # once more, over what is there
    assert not list(root.rglob(".wadah-*"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_tar(("../../out", b"x", {})), "bad_archive"),
        (_tar(("/a/../../out", b"x", {})), "bad_archive"),
        (_tar(("way/out", b"x", {})), "in_the_way"),
        (
            _tar(("turned", None, {"type": tarfile.SYMTYPE, "linkname": "/"}), ("turned/out", b"x", {})),
            "in_the_way",
        ),
        (_tar(("second", None, {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"})), "bad_archive"),
        (_tar(("second", None, {"type": tarfile.LNKTYPE, "linkname": "way"})), "in_the_way"),
        (_tar(("here", b"x", {})), "in_the_way"),
        (b"no archive at all" * 100, "bad_archive"),
        (_tar(("page", b"x" * 10_000, {}))[:5000], "bad_archive"),
        (_tar(("/".join(["d"] * 300), b"x", {})), "bad_archive"),
    ],
)
def test_an_archive_reaches_nothing_beside_its_directory(
    hand: Hand, node: Node, make: Make, data: bytes, code: str
) -> None:
    spec = make()
    root = node.root_volume(spec.id)
    (root / "srv" / "here").mkdir(parents=True)
    (root / "srv" / "way").symlink_to("/root")
    status, said = hand(spec.id, "/srv", data)
    assert (status, said["code"]) == (422, code), said
    assert [one.name for one in (root / "root").iterdir()] == [".ssh"]
    assert not (root / "out").exists()
    assert not list(root.rglob(".wadah-*"))


def test_a_full_disk_and_a_lost_archive_are_told(hand: Hand, make: Make, node: Node) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=64, disk_mb=64))
    large = bytes(8 * 2**20)
    many = _tar(*((f"f{number}", large, {}) for number in range(12)))
    assert hand(spec.id, "/root", many)[1]["code"] == "no_space"
    assert not list(node.root_volume(spec.id).rglob(".wadah-*"))
    other = make()
    assert hand(other.id, "/root", _tar(("a", b"x", {})), size=7)[1]["code"] == "not_found"
    assert hand(other.id, "/no/where", _tar(("a", b"x", {})))[1]["code"] == "not_found"
    assert hand(other.id, "/root", _tar(("a", b"x", {})), read_only=True)[0] == 401


def test_one_file_goes_out_as_an_archive(agent: Client, make: Make, node: Node) -> None:
    spec = make()
    (node.root_volume(spec.id) / "root" / "one").write_text("content")
    (node.root_volume(spec.id) / "root" / "way").symlink_to("one")
    for name in ("one", "way"):
        query = urlencode({"path": b64encode(f"/root/{name}".encode()), "any": 1})
        ticket = agent.ticket(spec.id, Purpose.FILES, read_only=True)
        with agent.answer("GET", f"/v1/environments/{spec.id}/archive?{query}", ticket) as answer:
            data = answer.read()
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            (info,) = archive.getmembers()
            assert info.name == name
            assert info.linkname == ("one" if name == "way" else "")


def test_what_is_typed_is_answered_from_then_on(agent: Client, make: Make) -> None:
    spec = make()
    path, body = f"/v1/environments/{spec.id}/attach", {"stdin": "typed-here\n", "timeout_s": 25}
    with agent.answer("POST", path, agent.ticket(spec.id, Purpose.CONSOLE), body) as answer:
        assert answer.status == 200
        seen = b""
        while b"typed-here" not in seen and (piece := answer.read1()):
            seen += piece
    assert b"typed-here" in seen
    with agent.answer("POST", path, agent.ticket(spec.id, Purpose.CONSOLE), {"timeout_s": 0.2}) as answer:
        assert b"typed-here" not in answer.read()  # what was before isn't told
    assert agent.request("POST", path, agent.ticket(spec.id, Purpose.EXEC), body)[0] == 401
