"""Archives of containers' images become a machine's root as their layers say; bad ones leave nothing."""

import gzip
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.contract import EnvironmentSpec, ImageState
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.images.conftest import ROOT, Entry, HandIn, file, folder, tar_of
from tests.host.support.audit import nothing_left
from tests.host.support.inside import sh

_OWN = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
_OCI = "application/vnd.oci.image"
#: Over the first: one file goes, what a directory had goes, one belongs to somebody, one link is a file now.
UPPER = tar_of(
    file("etc/.wh.gone", b""),
    folder("srv/"),
    file("srv/.wh..wh..opq", b""),
    file("srv/new", b"new\n", uid=1000, gid=65_534, mode=0o4750),
    file("etc/changed", b"upper\n"),
)
LOWER: tuple[Entry, ...] = (
    folder("srv"),
    *(file(name, b"lower\n") for name in ("etc/gone", "etc/changed", "etc/stays", "srv/old")),
)


@pytest.fixture(autouse=True)
def audited(node: Node, resident: EnvironmentSpec, hand_in: HandIn) -> Iterator[None]:
    with nothing_left(node):
        yield
        if (node.image("had")).exists():
            hand_in(b"x", name="had", wanted=False)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _config(layers: list[bytes], architecture: str = _OWN) -> bytes:
    root = {"type": "layers", "diff_ids": [_digest(one) for one in layers]}
    return json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": root}).encode()


class Layout:
    """An OCI layout, of blobs that are put into it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, data: bytes, kind: str) -> dict[str, Any]:
        self.blobs[_digest(data)] = data
        return {"mediaType": kind, "digest": _digest(data), "size": len(data)}

    def image(self, layers: list[bytes], architecture: str = _OWN) -> dict[str, Any]:
        packed = [self.put(gzip.compress(one), f"{_OCI}.layer.v1.tar+gzip") for one in layers]
        config = self.put(_config(layers, architecture), f"{_OCI}.config.v1+json")
        manifest = {"schemaVersion": 2, "config": config, "layers": packed}
        return self.put(json.dumps(manifest).encode(), f"{_OCI}.manifest.v1+json")

    def index(self, *images: dict[str, Any]) -> dict[str, Any]:
        index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": images}
        return self.put(json.dumps(index).encode(), f"{_OCI}.index.v1+json")

    def archive(self, *images: dict[str, Any]) -> bytes:
        blobs = [file(f"blobs/{one.replace(':', '/')}", data) for one, data in self.blobs.items()]
        index = json.dumps({"schemaVersion": 2, "manifests": images}).encode()
        version = file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        return tar_of(folder("blobs"), folder("blobs/sha256"), *blobs, file("index.json", index), version)


def _docker(layers: list[bytes], images: int = 1) -> bytes:
    """As `docker save` wrote it up to its version 24."""
    named = [f"{number}/layer.tar" for number in range(len(layers))]
    config = _config(layers)
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": ["mine:1"], "Layers": named}] * images
    entries = [file(one, data) for one, data in zip(named, layers, strict=True)]
    return tar_of(file("manifest.json", json.dumps(manifest).encode()), file(name, config), *entries)


@pytest.fixture(scope="module")
def base(node: Node, busybox: str) -> bytes:
    """A system that starts, and what the upper layer changes."""
    words = ["tar", "-C", str(node.image(busybox)), "--numeric-owner", "--exclude=./dev/*", "-c", "."]
    packed = subprocess.run(words, check=True, capture_output=True, timeout=60).stdout.rstrip(b"\0")
    return packed + b"\0" * (-len(packed) % 512) + tar_of(*LOWER)


def _is_as_its_layers_say(tree: Path) -> None:
    assert not (tree / "etc/gone").exists()
    assert (tree / "etc/stays").read_text() == "lower\n"
    assert (tree / "etc/changed").read_text() == "upper\n"
    assert [one.name for one in (tree / "srv").iterdir()] == ["new"]
    seen = (tree / "srv/new").stat()
    assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o7777) == (1000, 65_534, 0o4750)
    assert not [one.name for one in tree.rglob(".wh.*")]
    assert tree.stat().st_mode & 0o7777 == 0o755


def test_an_oci_layout_of_several_platforms_is_this_one_s(
    node: Node, hand_in: HandIn, base: bytes, make: Make
) -> None:
    made = Layout()
    other = made.image([tar_of(*ROOT)], "riscv64")
    own = made.image([base, UPPER])
    attested = made.put(b"{}", f"{_OCI}.manifest.v1+json")
    platforms = (("linux", "riscv64", other), ("linux", _OWN, own), ("unknown", "unknown", attested))
    index = made.index(*({**one, "platform": {"os": os, "architecture": arch}} for os, arch, one in platforms))
    report = hand_in(made.archive(index), name="had")
    assert report.state is ImageState.READY, f"{report.message} {report.next_step}"
    assert "from 2 layers" in report.message
    _is_as_its_layers_say(node.image("had"))
    spec = make(image="had")
    assert sh(node, spec, "cat /etc/changed; stat -c %u:%g:%a /srv/new").split() == ["upper", "1000:65534:4750"]


def test_what_docker_saves_is_the_same(node: Node, hand_in: HandIn, base: bytes) -> None:
    report = hand_in(_docker([base, UPPER]), name="had")
    assert report.state is ImageState.READY, f"{report.message} {report.next_step}"
    _is_as_its_layers_say(node.image("had"))


def _lacking() -> bytes:
    made = Layout()
    image = made.image([tar_of(*ROOT)])
    del made.blobs[next(iter(made.blobs))]
    return made.archive(image)


def _changed() -> bytes:
    made = Layout()
    image = made.image([tar_of(*ROOT)])
    made.blobs[next(iter(made.blobs))] = gzip.compress(tar_of(*ROOT, file("etc/more")))
    return made.archive(image)


def _two() -> bytes:
    made = Layout()
    return made.archive(made.image([tar_of(*ROOT)]), made.image([tar_of(*ROOT, file("etc/more"))]))


def _of(layers: list[bytes], architecture: str = _OWN) -> bytes:
    made = Layout()
    return made.archive(made.image(layers, architecture))


BAD = {
    "lacking a layer": (_lacking, "it lacks sha256:"),
    "another layer": (_changed, "laid one over the other"),
    "two images": (_two, "2 images"),
    "two of Docker": (lambda: _docker([tar_of(*ROOT)], images=2), "2 images"),
    "another processor": (lambda: _of([tar_of(*ROOT)], "riscv64"), "for linux/riscv64"),
    "an id beyond": (lambda: _of([tar_of(*ROOT, file("etc/x", uid=70_000))]), "laid one over the other"),
    "no image": (lambda: tar_of(file("manifest.json", b"[]"), file("abc/layer.tar")), "0 images"),
    "no layout": (
        lambda: tar_of(file("oci-layout"), file("index.json"), folder("blobs")),
        "no OCI layout",
    ),
    "no init": (lambda: _of([tar_of(*(one for one in ROOT if one[0] != "./sbin/init"))]), "no /sbin/init"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_one_is_refused_with_what_to_do(hand_in: HandIn, kind: str) -> None:
    make, words = BAD[kind]
    hand_in.refused(make(), words)
    assert hand_in.reports[-1].next_step
