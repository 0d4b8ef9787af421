"""The registry of an installation as it runs: Debian's, our gate and our front before it, and the panel."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from panel.registries import own
from runtime.install import registry_config
from runtime.install.caddyfile import Site, Upstreams, caddyfile
from runtime.install.front import Front
from runtime.install.layout import Layout
from tests.support.front import answers, wait_for
from tests.support.ports import free_port
from tests.support.registry import Layout as Image
from tests.support.registry import file, folder


@dataclass
class Own:
    """`skopeo` as a stranger's machine has it, and what it may be asked to copy."""

    host: str
    home: Path
    image: Image

    def named(self, name: str, *sizes: int, **config: Any) -> str:
        """An image with a layer of each of these sizes, of random bytes."""
        layers = [[folder("d"), file(f"d/{number}", os.urandom(size))] for number, size in enumerate(sizes)]
        return self.image.named(self.image.image(*layers, config={"Cmd": ["/x"], **config}))

    def skopeo(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["skopeo", "--insecure-policy", *words], capture_output=True, text=True, timeout=100, check=False
        )

    def push(self, source: str, to: str, password: str) -> "subprocess.CompletedProcess[str]":
        how = ["--dest-tls-verify=false", f"--dest-creds=anybody:{password}"]
        return self.skopeo("copy", "--quiet", *how, source, f"docker://{self.host}/{to}")

    def pull(self, name: str, to: Path, *creds: str) -> "subprocess.CompletedProcess[str]":
        how = ["--src-tls-verify=false", *creds]
        return self.skopeo("copy", "--quiet", *how, f"docker://{self.host}/{name}", f"dir:{to}")


@pytest.fixture
def own_registry(
    live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Own]:
    """With room of 8 MiB for each tenant, or of the parameter."""
    most_mb = getattr(request, "param", 8)
    if shutil.which("docker-registry") is None or shutil.which("skopeo") is None:
        pytest.skip("no registry here: apt-get install docker-registry skopeo")
    port = free_port()
    url, home = f"http://127.0.0.1:{port}", tmp_path / "home"
    layout, front = Layout(home), Front(f"http://127.0.0.1:{port}")
    for place in (home, layout.run, layout.etc, layout.panel, home / "registry"):
        place.mkdir(exist_ok=True)
    own.ensure_keys(home)
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": home, "url": url}))
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["127.0.0.1", "localhost", "testserver"])
    (layout.etc / "registry.yml").write_text(registry_config.configuration(layout, front, "s" * 40))
    to = Upstreams(
        *3 * (urlsplit(live_server.url).netloc,),
        *(f"unix/{layout.run / name}" for name in ("registry.sock", "registry-gate.sock")),
    )
    (home / "Caddyfile").write_text(caddyfile(Site((f"http://:{port}",), ("127.0.0.1",)), to))
    gate = ["-m", "granian", "--interface", "asgi", "--uds", str(layout.run / "registry-gate.sock")]
    gate += ["--no-ws", "--log-level", "error", "panel.repositories.gate:application"]
    commands = [
        ["docker-registry", "serve", str(layout.etc / "registry.yml")],
        [sys.executable, *gate],
        ["caddy", "run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"],
    ]
    with running(commands, home, most_mb):
        for name in ("registry.sock", "registry-gate.sock"):
            wait_for(lambda name=name: answers(layout.run / name), home)  # type: ignore[misc]
        wait_for(lambda: b"serving initial configuration" in (home / "log").read_bytes(), home)
        yield Own(f"127.0.0.1:{port}", home, Image(tmp_path / "image"))


@contextmanager
def running(commands: Sequence[Sequence[str]], home: Path, most_mb: int) -> Iterator[None]:
    kept = {name: str(home) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "WADAH_HOME")}
    seen = {**os.environ, **kept, "WADAH_REGISTRY_TENANT_MB": str(most_mb)}
    with (home / "log").open("wb") as log:
        processes = [subprocess.Popen(words, stdout=log, stderr=log, env=seen) for words in commands]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait(5)
