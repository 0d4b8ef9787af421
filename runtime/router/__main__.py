"""python -m runtime.router --home HOME --ask ADDRESS:PORT [--tls-port N]"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

from runtime.contract.domain import TABLE
from runtime.router.checking import Checks
from runtime.router.serving import Router
from runtime.router.table import Table

_BACKLOG = 1024


async def serve(home: Path, ask: str, tls_port: int | None) -> None:
    """Until SIGTERM."""
    table = Table(home / TABLE)
    checks = Checks(table)
    router = Router(table, checks.is_well, tls_port)
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    path = home / "domains" / "run" / "router.sock"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    listener.bind(str(path))
    os.umask(before)
    host, _, port = ask.rpartition(":")
    await loop.create_server(router.protocol, host, int(port), backlog=_BACKLOG)
    await loop.create_unix_server(router.protocol, sock=listener, backlog=_BACKLOG)
    checking = asyncio.create_task(checks.run())
    await ending.wait()
    checking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await checking


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m runtime.router", description=__doc__)
    words.add_argument("--home", type=Path, required=True)
    words.add_argument("--ask", required=True)
    words.add_argument("--tls-port", type=int)
    options = words.parse_args()
    asyncio.run(serve(options.home, options.ask, options.tls_port))


if __name__ == "__main__":
    main()
