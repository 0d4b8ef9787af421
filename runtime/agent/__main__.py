"""python -m runtime.agent --home HOME"""

import argparse
import asyncio
import contextlib
import gc
import grp
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette

from runtime import logs
from runtime.agent.app import EXECS, LOOKS, READS, Agent
from runtime.node import DEFAULT_HOME, Node
from runtime.prepare import enter

log = structlog.get_logger()

#: Who besides root may connect: the panel's group.
GROUP = "wadah"
_BACKLOG = 512
#: Whoever computes lets others have Python's lock after so long. With its own 5 ms, and eight readers of long
#: records, a command that wants it forty times took half a second.
SWITCH_S = 0.0005


def listen(path: Path) -> socket.socket:
    """The agent's socket, 0660 for the panel's group; takes the place of one that was left behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        listener.bind(str(temporary))
    finally:
        os.umask(before)
    with contextlib.suppress(KeyError):
        os.chown(temporary, 0, grp.getgrnam(GROUP).gr_gid)
    temporary.chmod(0o660)
    listener.listen(_BACKLOG)
    temporary.rename(path)
    return listener


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled; a failure is logged and tried again."""
    while True:
        try:
            await work()
        except Exception:  # the edge of a periodic task
            log.exception("periodic work failed")
        await asyncio.sleep(seconds)


def build(node: Node) -> Starlette:
    """The application with all that runs beside it."""
    from runtime.agent.outbox import Outbox  # noqa: PLC0415
    from runtime.agent.panel_clock import LOOK_EVERY_S, PanelClock  # noqa: PLC0415
    from runtime.agent.usage_sampler import NODE_EVERY_S, SURVEY_EVERY_S, USAGE_EVERY_S, Sampler  # noqa: PLC0415
    from runtime.agent.watcher import Watcher  # noqa: PLC0415
    from runtime.worker import configure  # noqa: PLC0415

    execs = ThreadPoolExecutor(EXECS, thread_name_prefix="exec")
    looks = ThreadPoolExecutor(LOOKS, thread_name_prefix="look")
    reads = ThreadPoolExecutor(READS, thread_name_prefix="read")
    engine = ThreadPoolExecutor(4, thread_name_prefix="engine")
    sampling = ThreadPoolExecutor(1, thread_name_prefix="sampler")
    surveying = ThreadPoolExecutor(1, thread_name_prefix="survey")
    outbox = Outbox(configure(node), node)
    agent = Agent(node, execs, looks, reads=reads)
    sampler = Sampler(node, outbox)
    clock = PanelClock(node)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        outbox.start()
        watcher = Watcher(node, outbox, engine)

        async def usage() -> None:
            await loop.run_in_executor(sampling, sampler.send_usage)

        async def facts() -> None:
            await loop.run_in_executor(sampling, sampler.send_node)

        async def panel_backup() -> None:
            await loop.run_in_executor(sampling, clock.look)

        async def survey() -> None:
            await loop.run_in_executor(surveying, sampler.survey)

        tasks = [
            asyncio.create_task(watcher.run()),
            asyncio.create_task(every(USAGE_EVERY_S, usage)),
            asyncio.create_task(every(NODE_EVERY_S, facts)),
            asyncio.create_task(every(SURVEY_EVERY_S, survey)),
            asyncio.create_task(every(LOOK_EVERY_S, panel_backup)),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await agent.streams.close()
        outbox.close()
        for pool in (execs, looks, reads, engine, sampling, surveying):
            pool.shutdown(wait=False, cancel_futures=True)

    app = agent.application()
    app.router.lifespan_context = lifespan
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="Node agent of Wadah")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("WADAH_HOME", DEFAULT_HOME)))
    options = parser.parse_args()
    logs.configure()
    sys.setswitchinterval(SWITCH_S)
    node = Node.load(options.home)
    os.umask(0o077)
    enter(node)
    listener = listen(node.agent_socket)
    application = build(node)
    gc.freeze()  # what was loaded stays: to look through it again and again would hold up everybody for as long
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=65_536,
        ws_max_queue=16,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
