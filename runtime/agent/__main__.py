"""python -m runtime.agent --home HOME"""

import argparse
import grp
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
import uvicorn

from runtime.agent.app import create_app
from runtime.agent.metrics import node_report, usage_report
from runtime.agent.outbox import Outbox
from runtime.agent.watcher import Watcher
from runtime.contract import PANEL_OBSERVE, PANEL_OBSERVE_NODE, PANEL_OBSERVE_USAGE, Report
from runtime.engine import Engine
from runtime.node import DEFAULT_HOME, Node
from runtime.prepare import enter
from runtime.worker import configure

log = structlog.get_logger()

USAGE_EVERY_S = 5.0
HEARTBEAT_EVERY_S = 10.0


def _every(seconds: float, act: Callable[[], None]) -> None:
    """In a thread of its own, at once and then again and again."""

    def work() -> None:
        while True:
            try:
                act()
            except Exception:
                log.exception("a reading failed")
            time.sleep(seconds)

    threading.Thread(target=work, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description="Node agent of Wadah")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("WADAH_HOME", DEFAULT_HOME)))
    options = parser.parse_args()
    node = Node.load(options.home)
    os.umask(0o077)
    enter(node)
    outbox = Outbox(configure(node))

    def report(one: Report) -> None:
        outbox.put(PANEL_OBSERVE, one.model_dump(mode="json"), key=(one.environment_id, one.operation_id))

    engine = Engine(node, report)
    Watcher(engine).start()
    _every(
        HEARTBEAT_EVERY_S,
        lambda: outbox.put(PANEL_OBSERVE_NODE, node_report(node, engine).model_dump(mode="json"), key="node"),
    )
    _every(
        USAGE_EVERY_S,
        lambda: outbox.put(PANEL_OBSERVE_USAGE, usage_report(node).model_dump(mode="json"), key="usage"),
    )
    _serve(node)


def _serve(node: Node) -> None:
    """uvicorn makes the socket for everybody; the directory keeps strangers out, and the mode is set after."""
    path = node.agent_socket
    path.unlink(missing_ok=True)
    config = uvicorn.Config(
        create_app(node),
        uds=str(path),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=65_536,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    threading.Thread(target=_narrow, args=(path,), daemon=True).start()
    uvicorn.Server(config).run()


def _narrow(path: Path) -> None:
    """0660, of the panel's group where there is one."""
    while not path.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    with suppress(KeyError, OSError):
        os.chown(path, 0, grp.getgrnam("wadah").gr_gid)
    path.chmod(0o660)


if __name__ == "__main__":
    main()
