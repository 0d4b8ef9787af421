"""The node worker: takes `runtime.*` tasks from this node's own queue and applies them.

    python -m runtime.worker --home HOME

A message only says "look": the newest spec is kept in the node's files, so that a message lost,
doubled, late or out of order changes nothing (security-settings 4.8).
"""

import argparse
import os
from pathlib import Path
from typing import Any

import structlog
from celery import Celery
from pydantic import ValidationError

from runtime.contract import (
    NODE_APPLY,
    NODE_IMAGE,
    PANEL_OBSERVE,
    PANEL_OBSERVE_IMAGE,
    PANEL_QUEUE,
    EnvironmentSpec,
    ImageReport,
    ImageSpec,
    Report,
    node_queue,
)
from runtime.node import DEFAULT_HOME, Node
from runtime.prepare import enter

log = structlog.get_logger()

app = Celery("runtime")
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": 20, "unacked_restore_interval": 1},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_max_tasks_per_child=2000,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    task_create_missing_queues=True,
    task_publish_retry=True,
    task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
)

_node: Node | None = None


def configure(node: Node) -> Celery:
    """Points the app at this node's broker and queue. Used by the agent too, to send reports."""
    global _node  # noqa: PLW0603 (one process serves one node)
    _node = node
    app.conf.update(broker_url=broker_url(node), task_default_queue=node_queue(node.name))
    return app


def broker_url(node: Node) -> str:
    """`WADAH_REDIS_URL`, else the setting, else the installation's own Redis."""
    own = f"redis+socket://{node.run / 'redis.sock'}"
    return os.environ.get("WADAH_REDIS_URL") or node.settings.redis_url or own


def this_node() -> Node:
    if _node is None:
        raise RuntimeError("the worker is not configured: call configure() first")
    return _node


def send_report(report: Report) -> None:
    app.send_task(PANEL_OBSERVE, args=[report.model_dump(mode="json")], queue=PANEL_QUEUE)


def send_image_report(report: ImageReport) -> None:
    app.send_task(PANEL_OBSERVE_IMAGE, args=[report.model_dump(mode="json")], queue=PANEL_QUEUE)


@app.task(name=NODE_APPLY, shared=False)
def apply(document: dict[str, Any]) -> None:
    """Brings the environment of this spec about. A document that isn't a spec of this node is refused."""
    from runtime.engine import Engine  # noqa: PLC0415 (after entering the node's namespaces)

    try:
        spec = EnvironmentSpec.model_validate(document)
    except ValidationError as bad:
        log.error("spec refused", errors=bad.error_count())
        return
    if spec.node != this_node().name:
        log.error("spec of another node refused", node=spec.node)
        return
    Engine(this_node(), send_report).apply(spec)


@app.task(name=NODE_IMAGE, shared=False)
def image(document: dict[str, Any]) -> None:
    """Builds (or deletes) an image; reports its progress."""
    from runtime.images.service import ensure_image  # noqa: PLC0415

    try:
        spec = ImageSpec.model_validate(document)
    except ValidationError as bad:
        log.error("image spec refused", errors=bad.error_count())
        return
    if spec.node == this_node().name:
        ensure_image(this_node(), spec, send_image_report)


def main() -> None:
    parser = argparse.ArgumentParser(description="Node worker of Wadah")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("WADAH_HOME", DEFAULT_HOME)))
    parser.add_argument("--concurrency", type=int, default=4)
    options = parser.parse_args()
    node = Node.load(options.home)
    os.umask(0o077)
    enter(node)
    configure(node)
    app.worker_main(
        [
            "worker",
            f"--concurrency={options.concurrency}",
            f"--queues={node_queue(node.name)}",
            f"--hostname=node@{node.name}",
            "--loglevel=warning",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )


if __name__ == "__main__":
    # under its importable name, so that the tasks are registered once
    from runtime import worker  # noqa: PLW0406

    worker.main()
