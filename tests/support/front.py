"""A front as an installation has it (Caddy, with our configuration) before pages that say what reached them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.install.caddyfile import Site, Upstreams, caddyfile


def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """What a WSGI server made of the request."""
    seen = {key: value for key, value in environ.items() if key.isupper() and isinstance(value, str)}
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


@contextmanager
def front(directory: Path, site: Site, proxies: Sequence[str] = (), *, pages: bool = True) -> Iterator[int]:
    """Its pid; `Upstreams` all lead to `application`, served by the server that an installation has."""
    web = directory / "web.sock"
    file = directory / "Caddyfile"
    static = directory / "static"
    static.mkdir()
    (static / "a.css").write_text("a{}")
    to = Upstreams(*3 * (f"unix/{web}",))
    file.write_text(caddyfile(site, to, static=static, proxies=proxies))
    home = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    granian = ["-m", "granian", "--interface", "wsgi", "--uds", str(web), "--no-ws", "--log-level", "error"]
    granian = [sys.executable, *granian, "tests.support.front:application"]
    caddy = ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
    with (directory / "log").open("wb") as log:
        running = [
            subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, **home})
            for words in ([granian] if pages else []) + [caddy]
        ]
        try:
            wait_for(lambda: not pages or answers(web), directory)
            wait_for(lambda: b"serving initial configuration" in (directory / "log").read_bytes(), directory)
            yield running[-1].pid
        finally:
            for process in running:
                process.terminate()
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(path))
        return True
    return False


def wait_for(look: Any, directory: Path) -> None:
    until = time.monotonic() + 20
    while not look():
        assert time.monotonic() < until, (directory / "log").read_text()
        time.sleep(0.02)
