"""python -m runtime.backup_server --home HOME"""

import argparse
import os
import socket
import sys
from contextlib import closing
from pathlib import Path

import uvicorn

from runtime import logs
from runtime.backup_server import certificate
from runtime.backup_server.app import BackupServer
from runtime.backup_server.connections import LOOP, protocol_of
from runtime.backup_server.store import forget_what_came
from runtime.host.capabilities import keep_only
from runtime.node import DEFAULT_HOME, Node

_CONNECTIONS, _BACKLOG = 512, 128
#: A connection that nothing is asked over.
_IDLE_S = 75


def main() -> None:
    parser = argparse.ArgumentParser(description="Backups of other nodes")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("WADAH_HOME", DEFAULT_HOME)))
    options = parser.parse_args()
    logs.configure()
    node = Node.load(options.home)
    place, given = node.settings.backup_server_at, node.settings.backup_directory
    if place is None or given is None:
        sys.exit("node.json has no backup_server, or no backup_directory")
    os.umask(0o077)
    forget_what_came(Path(given))
    shown, key = certificate.ensure(node, place[0])
    with closing(_listen(*place)) as listener:
        server = BackupServer(node, Path(given))
        config = uvicorn.Config(
            server.application(),
            loop=LOOP,
            http=protocol_of(server.connections),
            ws="none",
            lifespan="off",
            ssl_certfile=shown,
            ssl_keyfile=key,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
        )
        config.load()
        keep_only()  # what it writes is root's, and so is it: that takes no capability
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """At the address that it is called by, or at all where that is a name."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        sys.exit(f"{host}: {error.strerror}")
    listener = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
    return listener


if __name__ == "__main__":
    main()
