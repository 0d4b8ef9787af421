"""A real registry (Debian's docker-registry) on the loopback of the machine, and images made layer by layer."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

Entry = tuple[str, dict[str, Any], bytes]
_OCI = "application/vnd.oci.image."


def folder(name: str, **fields: Any) -> Entry:
    return name, {"type": tarfile.DIRTYPE, "mode": 0o755, **fields}, b""


def file(name: str, content: bytes = b"text\n", **fields: Any) -> Entry:
    return name, {"mode": 0o644, **fields}, content


def link(name: str, target: str) -> Entry:
    return name, {"type": tarfile.SYMTYPE, "linkname": target}, b""


def busybox() -> list[Entry]:
    """A tiny system: a shell with its tools, users, a home."""
    tools = (
        "sh echo cat id ls pwd env sleep test touch hostname mount df kill httpd nc ps stat mkdir head wc true"
    )
    return [
        *(folder(one) for one in ("bin", "etc", "home", "tmp")),
        file("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755),
        *(link(f"bin/{one}", "busybox") for one in tools.split()),
        file("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1234:5678::/home:/bin/sh\n"),
        file("etc/group", b"root:x:0:\nstaff:x:77:app\napp:x:5678:\n"),
    ]


@dataclass
class Layout:
    """An OCI image layout (image-spec) in a directory, byte by byte."""

    place: Path
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def blob(self, content: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        (self.place / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (self.place / "blobs/sha256" / digest).write_bytes(content)
        return f"sha256:{digest}", len(content)

    def image(
        self, *layers: Sequence[Entry], config: dict[str, Any] | None = None, **document: Any
    ) -> dict[str, Any]:
        """Descriptor of its manifest."""
        described, hashes = [], []
        for entries in layers:
            raw = tar_of(entries)
            digest, size = self.blob(gzip.compress(raw, 1, mtime=0))
            described.append({"mediaType": f"{_OCI}layer.v1.tar+gzip", "digest": digest, "size": size})
            hashes.append(f"sha256:{hashlib.sha256(raw).hexdigest()}")
        whole = {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": hashes},
            **document,
        }
        digest, size = self.blob(json.dumps(whole).encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}manifest.v1+json",
            "config": {"mediaType": f"{_OCI}config.v1+json", "digest": digest, "size": size},
            "layers": described,
        }
        digest, size = self.blob(json.dumps(manifest).encode())
        return {"mediaType": f"{_OCI}manifest.v1+json", "digest": digest, "size": size}

    def named(self, descriptor: dict[str, Any], tag: str = "t") -> str:
        """skopeo's name of it."""
        one = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        (self.place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (self.place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [one]}))
        return f"oci:{self.place}:{tag}"


def tar_of(entries: Sequence[Entry]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, fields, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content) if content else None)
    return buffer.getvalue()


@dataclass
class Hub:
    """The registry; `pushed` images by name."""

    host: str
    log: Path
    place: Path
    enter: Sequence[str] = ()
    count: int = 0

    def push(
        self, name: str, *layers: Sequence[Entry], config: dict[str, Any] | None = None, **more: Any
    ) -> str:
        """Its reference, after it was pushed by skopeo."""
        self.count += 1
        layout = Layout(self.place / f"layout{self.count}")
        source = layout.named(layout.image(*layers, config=config, **more))
        command = [*self.enter, "skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*command, source, f"docker://{self.host}/{name}"], check=True, timeout=60)
        return f"{self.host}/{name}"

    def blobs_asked(self) -> int:
        """How many blobs were fetched from it so far."""
        return self.log.read_text().count("GET /v2/") - self.log.read_text().count("/manifests/")


@contextmanager
def registry(place: Path, enter: Sequence[str] = ()) -> Iterator[Hub]:
    """`enter`: what brings a command to where it listens, a network that a test's node calls the host's."""
    port = free_port()
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(place / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (place / "config.yml").write_text(json.dumps(settings))
    log = place / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*enter, "docker-registry", "serve", str(place / "config.yml")],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 30
        while True:
            look = [*enter, "skopeo", "list-tags", "--tls-verify=false", f"docker://127.0.0.1:{port}/none"]
            said = subprocess.run(look, capture_output=True, check=False, timeout=30).stderr.decode()
            if "connection refused" not in said:
                break
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.05)
        yield Hub(f"127.0.0.1:{port}", log, place, enter)
    finally:
        process.kill()
        process.wait(20)
