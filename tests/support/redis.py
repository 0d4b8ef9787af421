"""A Redis of the tests' own, on a unix socket."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def redis_on(socket: Path) -> Iterator[Path]:
    """Runs until the block ends; keeps nothing on disk."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=socket.parent)
    try:
        until = time.monotonic() + 30
        while not socket.exists():
            assert process.poll() is None, f"redis-server ended with {process.returncode}"
            assert time.monotonic() < until, "redis-server did not open its socket"
            time.sleep(0.01)
        yield socket
    finally:
        process.terminate()
        process.wait(timeout=20)
