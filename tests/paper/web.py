"""The panel in one process, for `./wadah dev`: `python -m tests.paper.web --port PORT`.

Pages, API, static files and WebSockets, each as an installation serves it. Templates are read anew when one of
them has changed.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import uvicorn

from panel.config.asgi import application as sockets
from panel.config.web import application as pages

ROOT = Path(__file__).resolve().parent.parent.parent
#: Between two looks at whether a template changed.
_LOOK_S = 0.3


class Templates:
    """Django keeps them compiled: forgotten when any has changed."""

    def __init__(self) -> None:
        self._looked_at, self._newest = 0.0, self._stamp()

    @staticmethod
    def _stamp() -> tuple[int, int]:
        times = [one.stat().st_mtime_ns for one in (ROOT / "templates").rglob("*.*")]
        return len(times), max(times, default=0)

    def look(self) -> None:
        from django.template.autoreload import reset_loaders

        if time.monotonic() < self._looked_at + _LOOK_S:
            return
        newest = self._stamp()
        if newest != self._newest:
            self._newest = newest
            reset_loaders()
        self._looked_at = time.monotonic()


templates = Templates()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await sockets(scope, receive, send)  # type: ignore[arg-type]
        return
    templates.look()
    await pages(scope, receive, send)


def main() -> None:
    parser = argparse.ArgumentParser(description="The panel, while it is being changed")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    os.umask(0o077)
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=options.port,
        ws="websockets-sansio",
        ws_max_size=65_536,
        lifespan="off",
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
