"""The node worker: takes `runtime.*` tasks from this node's own queue and applies them.

    python -m runtime.worker --home HOME [--slow]

Two run on a node. The quick one has a few processes and never waits for an environment: what does (a polite
shutdown, the build of an image) it hands over to the slow one, whose many threads mostly sleep. So neither an
image nor a hundred environments that won't shut down hold up anybody's create.

A message only says "look": the newest spec is kept in the node's files, so that a message lost,
doubled, late or out of order changes nothing (security-settings 4.8).
"""

import argparse
import os
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from celery import Celery
from celery.signals import task_received
from pydantic import ValidationError

from runtime import logs
from runtime.agent.outbox import Outbox
from runtime.contract import (
    NODE_APPLY,
    NODE_CPU_POOLS,
    NODE_DEVICES,
    NODE_JOB,
    NODE_LOOK,
    NODE_SURVEY,
    PANEL_OBSERVE,
    PANEL_OBSERVE_NODE,
    AllowedDevices,
    CpuPools,
    EnvironmentSpec,
    JobReport,
    JobSpec,
    Report,
    node_queue,
    redis_url,
    slow_queue,
)
from runtime.contract.transport import CONNECT_S, TakeBack, transport_options
from runtime.jobs.in_hand import InHand
from runtime.node import DEFAULT_HOME, Node
from runtime.places import Places
from runtime.prepare import enter

log = structlog.get_logger()

#: No fixup of Celery for Django, whatever the environment says: a process of root loads nothing of the panel.
app = Celery("runtime", fixups=[])
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_consumer="runtime.contract.transport:Consumer",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_max_tasks_per_child=2000,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    task_create_missing_queues=True,
    broker_connection_timeout=CONNECT_S,
)
app.steps["consumer"].add(TakeBack)

#: Threads of the slow worker; one sleeps for each environment that is asked to shut down.
SLOW_THREADS = 256
#: Of them, those of one tenant; fewer when there are not so many left. What is more takes turns.
SLOW_OF_TENANT, SLOW_TURN_S = 64, 0.5
#: A polite stop may take 10 minutes, an image longer: not given out again meanwhile.
SLOW_VISIBILITY_S = 3600

#: Environments in one request to report on them.
MOST_LOOKED_AT = 500

_node: Node | None = None
_slow = False


def configure(node: Node, *, slow: bool = False) -> Celery:
    """Points the app at this node's broker and queue. Used by the agent too, to send reports."""
    global _node, _slow
    _node, _slow = node, slow
    queue = slow_queue(node.name) if slow else node_queue(node.name)
    app.conf.update(
        broker_url=broker_url(node),
        task_default_queue=queue,
        broker_transport_options=(
            transport_options(queue, visibility_s=SLOW_VISIBILITY_S) if slow else transport_options(queue)
        ),
    )
    return app


def broker_url(node: Node) -> str:
    """`WADAH_REDIS_URL`, else the setting, else the installation's own Redis. Raises `ValueError` with a
    sentence for an address that can't be."""
    own = f"redis+socket://{_own_login(node)}{node.run / 'redis.sock'}"
    return redis_url.broker_url(os.environ.get("WADAH_REDIS_URL") or node.settings.redis_url or own)


def _own_login(node: Node) -> str:
    """`node:<password>@` for the installation's own Redis, or nothing where it knows no users."""
    try:
        return f"node:{node.redis_password.read_text().strip()}@"
    except FileNotFoundError:
        return ""


def this_node() -> Node:
    if _node is None:
        raise RuntimeError("the worker is not configured: call configure() first")
    return _node


def send_report(report: Report) -> None:
    """Now, or as soon as the broker is back: by then only the newest of each environment."""
    outbox().send(("report", report.environment_id), PANEL_OBSERVE, report.model_dump(mode="json"))


@cache
def _outbox_of(pid: int) -> Outbox:
    made = Outbox(app, this_node())
    made.start()
    return made


def outbox() -> Outbox:
    """This process's own: a thread doesn't survive a fork."""
    return _outbox_of(os.getpid())


def hand_over(task: str, *arguments: Any) -> bool:
    """Leave it to the slow worker; False when the broker can't be told, so that it must be done here."""
    try:
        app.send_task(task, args=list(arguments), queue=slow_queue(this_node().name), declare=[], retry=False)
    except Exception as away:
        log.warning("not handed over", task=task, error=type(away).__name__)
        return False
    return True


def hand_over_spec(spec: EnvironmentSpec) -> bool:
    return hand_over(NODE_APPLY, spec.model_dump(mode="json"))


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
    if not _slow:
        Engine(this_node(), send_report, hand_over=hand_over_spec).apply(spec)
        return
    with SLOW.place(spec.tenant_id) as is_ours:
        if is_ours:
            Engine(this_node(), send_report).apply(spec)
            return
    time.sleep(SLOW_TURN_S)
    if not hand_over_spec(spec):
        log.warning("left to the panel, which sends it again", environment=str(spec.id))


#: Threads of the slow worker.
SLOW = Places(SLOW_THREADS, SLOW_OF_TENANT)
IN_HAND = InHand()
#: Jobs that are done at once: each is a process of some 60 MiB, which nobody is charged for, and has a thread.
JOBS = Places(48, 12)


@app.task(name=NODE_LOOK, shared=False)
def look(documents: list[str]) -> None:
    """Reports on these environments as they are now: the panel has reason to think that it missed something."""
    from runtime.engine import Engine  # noqa: PLC0415
    from runtime.state import Records  # noqa: PLC0415

    engine = Engine(this_node())
    try:
        wanted = [UUID(text) for text in documents[:MOST_LOOKED_AT]]
    except (TypeError, ValueError, AttributeError):
        log.error("list of environments refused")
        return
    for environment_id in wanted:
        with Records(this_node(), environment_id).try_lock() as free:
            # whoever is at work on it reports when it is through
            report = engine.current_report(environment_id) if free else None
        if report is not None:
            send_report(report)


@app.task(name=NODE_SURVEY, shared=False)
def survey() -> None:
    """Compares all that is there with all that is wanted now, not only when it is time for it."""
    from runtime.survey import node_report  # noqa: PLC0415
    from runtime.survey import survey as look_around  # noqa: PLC0415

    if not _slow and hand_over(NODE_SURVEY):
        return
    report = node_report(this_node(), 0, look_around(this_node()))
    outbox().send("node", PANEL_OBSERVE_NODE, report.model_dump(mode="json"))


@app.task(name=NODE_CPU_POOLS, shared=False)
def hold_pools(document: dict[str, Any]) -> None:
    """Keeps the pools of processors, and moves every environment to where it may run. Older ones than those
    that are known change nothing."""
    from runtime.pooling import hold  # noqa: PLC0415

    try:
        pools = CpuPools.model_validate(document)
    except ValidationError as bad:
        log.error("pools refused", errors=bad.error_count())
        return
    if not _slow and hand_over(NODE_CPU_POOLS, document):
        return
    hold(this_node(), pools)


@app.task(name=NODE_DEVICES, shared=False)
def allow_devices(document: dict[str, Any]) -> None:
    """Keeps the list of the host's devices that may be given. Who has one of them is looked at in the next
    round of the reconciler."""
    from runtime.allowed_devices import note  # noqa: PLC0415

    try:
        listed = AllowedDevices.model_validate(document)
    except ValidationError as bad:
        log.error("devices refused", errors=bad.error_count())
        return
    note(this_node(), listed)


@app.task(name=NODE_JOB, shared=False)
def do(document: dict[str, Any], has_waited: bool = False) -> None:
    """Does a job, in a process of its own. `has_waited`: it was handed over, since it wasn't its turn."""
    from runtime.jobs.process import NotYet, do_apart  # noqa: PLC0415
    from runtime.jobs.records import JobRecords  # noqa: PLC0415
    from runtime.jobs.reports import waiting  # noqa: PLC0415

    try:
        spec = JobSpec.model_validate(document)
    except ValidationError as bad:
        log.error("job refused", errors=bad.error_count())
        return
    if spec.node != this_node().name:
        log.error("job of another node refused", node=spec.node)
        return
    if not _slow and hand_over(NODE_JOB, document):
        return
    while IN_HAND.take(spec.id, has_waited=has_waited):
        try:
            with ExitStack() as undo:
                if spec.payer is not None and undo.enter_context(JOBS.place(spec.payer)) is None:
                    raise NotYet
                do_apart(this_node(), spec, _tell)
        except NotYet:
            IN_HAND.waits(spec.id)
        except BaseException:
            IN_HAND.ends(spec.id)
            raise
        else:
            IN_HAND.ends(spec.id)
            return
        if not has_waited:
            _tell(waiting(this_node(), spec))
        time.sleep(SLOW_TURN_S)
        has_waited = True
        if _slow and hand_over(NODE_JOB, document, has_waited):
            return
    JobRecords(this_node(), spec.id).accept(spec)  # who has it in hand hears of a cancel


def _tell(report: JobReport | Report) -> None:
    from runtime.jobs.reports import message_of  # noqa: PLC0415

    if isinstance(report, Report):
        send_report(report)
        return
    message = message_of(report)
    if message is not None:
        outbox().send(*message)


def only_ours() -> None:
    """Celery's own tasks (`celery.map`, `celery.chain`, …) are none of a node's: it knows `runtime.*` alone.

    Remote control is off as well: who can write to the broker can neither stop the worker nor change it.
    """
    app.finalize()
    for name in list(app.tasks):
        if not name.startswith("runtime."):
            del app.tasks[name]


def keep_warm() -> None:
    """From the arrival of a spec on, in this one process for all that it forks."""
    from runtime.sandboxes import sandbox_of  # noqa: PLC0415 (after entering the node's namespaces)

    comes = sandbox_of(this_node()).keep_ready()

    def arrived(request: Any, **_: Any) -> None:
        if request.name == NODE_APPLY:
            comes()

    task_received.connect(arrived, weak=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Node worker of Wadah")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("WADAH_HOME", DEFAULT_HOME)))
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--slow", action="store_true", help="take what the quick worker hands over")
    options = parser.parse_args()
    logs.configure()
    node = Node.load(options.home)
    os.umask(0o077)
    enter(node)
    configure(node, slow=options.slow)
    only_ours()
    if not options.slow:
        keep_warm()
    pool = ["--pool=threads", f"--concurrency={SLOW_THREADS}"]
    app.worker_main(
        [
            "worker",
            *(pool if options.slow else [f"--concurrency={options.concurrency}"]),
            f"--queues={app.conf.task_default_queue}",
            f"--hostname={'slow' if options.slow else 'node'}@{node.name}",
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
