"""The WebSocket process: `python -m panel.live.server SOCKET`.

uvicorn's own command makes its socket writable for everybody (0666); here only the panel's group may connect.
"""

import os
import socket
import sys
from pathlib import Path

import uvicorn

#: Connections that the front may have waiting.
_BACKLOG = 512


def listen(path: Path) -> socket.socket:
    """The socket, 0660; takes the place of one that was left behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    before = os.umask(0o117)
    try:
        listener.bind(str(temporary))
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    temporary.rename(path)
    return listener


def main() -> None:
    listener = listen(Path(sys.argv[1]))
    config = uvicorn.Config(
        "panel.config.asgi:application",
        ws="websockets-sansio",
        ws_max_size=65_536,
        lifespan="off",
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # `panel.http.client` reads them
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
