"""Archives made byte by byte, handed in as the panel would, into a node of the test's own."""

import hashlib
import io
import os
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from runtime.contract import ArchiveFile, EnvironmentSpec, ImageReport, ImageSource, ImageSpec, ImageState
from runtime.images import service
from runtime.images.archive import Archive
from runtime.images.unpack import Caps
from runtime.jobs.images import ensure_image
from runtime.node import Node
from tests.host.isolation.conftest import running
from tests.host.support.node import Specs

Entry = tuple[str, dict[str, object], bytes]


def tar_of(*entries: Entry, format: int = tarfile.PAX_FORMAT) -> bytes:
    """`(name, fields of TarInfo, content)`; the name goes in as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, fields, content in entries:
            info = tarfile.TarInfo("x")
            info.name = name
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content) if content else None)
    return buffer.getvalue()


def folder(name: str, mode: int = 0o755) -> Entry:
    return name, {"type": tarfile.DIRTYPE, "mode": mode}, b""


def file(name: str, content: bytes = b"text\n", **fields: object) -> Entry:
    return name, {"mode": 0o644, **fields}, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    return name, {"type": kind, "linkname": target}, b""


ROOT = (
    folder("."),
    *(folder(f"./{one}") for one in ("bin", "etc", "sbin", "usr", "root")),
    file("./etc/os-release", b'ID=tiny\nPRETTY_NAME="Tiny \x1b[31m1"\n'),
    file("./bin/false", b"#!/bin/false\n", mode=0o755),
    file("./sbin/init", b"#!/bin/false\n", mode=0o755),
)


@dataclass
class HandIn:
    """Stages an archive and has the node take it in; keeps what was reported."""

    node: Node
    reports: list[ImageReport] = field(default_factory=list)

    def __call__(
        self, data: bytes, *, name: str = "", sha256: str = "", size: int | None = None, wanted: bool = True
    ) -> ImageReport:
        staged = uuid.uuid4()
        place = self.node.home / "panel" / "archives"
        place.mkdir(parents=True, exist_ok=True)
        (place / str(staged)).write_bytes(data)
        self.last = place / str(staged)
        spec = ImageSpec(
            node=self.node.name,
            name=name or f"in-{staged.hex[:8]}",
            source=ImageSource.ARCHIVE,
            revision=len(self.reports) + 1,
            wanted=wanted,
            archive=ArchiveFile(
                id=staged, sha256=sha256 or hashlib.sha256(data).hexdigest(), bytes=size or max(1, len(data))
            ),
        )
        self.spec = spec
        before = os.umask(0o077)  # that of a node's worker
        try:
            ensure_image(self.node, spec, self.reports.append)
        finally:
            os.umask(before)
        return self.reports[-1]

    def refused(self, data: bytes, *words: str, **fields: object) -> None:
        """It is refused with these words, and nothing of it stays."""
        report = self(data, **fields)  # type: ignore[arg-type]
        assert report.state is ImageState.FAILED, report.message
        for word in words:
            assert word in report.message, report.message
        assert not self.node.image(self.spec.name).exists()
        assert not list((self.node.store / "images").glob(f".*{self.spec.name}*"))
        assert not list(self.node.mounts.glob("import-*"))


@pytest.fixture(scope="package")
def resident(node: Node, specs: Specs, busybox: str) -> Iterator[EnvironmentSpec]:
    """A running environment of the same tenant as those that tests make: it must notice nothing."""
    with running(node, specs) as spec:
        yield spec


@pytest.fixture
def hand_in(node: Node) -> HandIn:
    return HandIn(node)


@pytest.fixture
def caps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Smaller caps than those of a node, so that reaching them takes no minutes."""

    def use(**fields: float) -> None:
        source = Archive(Caps(**fields))  # type: ignore[arg-type]
        monkeypatch.setitem(service._SOURCES, ImageSource.ARCHIVE, source)

    return use
