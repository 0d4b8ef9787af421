"""Has a job done by a process of its own, and ends that when it hangs.

So a job that hangs, or eats memory, takes nobody else's with it. Its reports come back here, to who can keep
them while the panel is away.
"""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

import structlog
from pydantic import TypeAdapter, ValidationError

from runtime.contract import JobReport, JobSpec, Report
from runtime.jobs.fork_server import Begun, ForkServer
from runtime.jobs.records import JobRecords
from runtime.jobs.runner import MAX_ATTEMPTS, NotYet
from runtime.node import Node
from runtime.work import HANG_GRACE_S, UNDO_DEADLINE_S

__all__ = ["NOT_YET", "NotYet", "do_apart", "warm"]

log = structlog.get_logger()

#: EX_TEMPFAIL of sysexits.h(3head): the process's own word for `NotYet`.
NOT_YET = 75
#: It ends itself when a step hangs; after this much more it is ended from outside.
_GRACE_S = 60.0
_REPORTS: TypeAdapter[JobReport | Report] = TypeAdapter(JobReport | Report)
_SERVER = ForkServer()


#: Told of a job, or of an environment that one has changed.
Listener = Callable[[JobReport | Report], object]


def do_apart(node: Node, spec: JobSpec, report: Listener) -> None:
    """Returns when it has ended, or another process is at work on it. One that was killed is followed by
    another, which goes on with it or takes it back. Raises `NotYet`."""
    records = JobRecords(node, spec.id)
    records.accept(spec)
    with records.turn(spec) as mine:
        if not mine:  # found out here, without a process for it
            raise NotYet
    for _ in range(MAX_ATTEMPTS + 1):
        status = _run(node, spec, report)
        if status == NOT_YET:
            raise NotYet
        if status == 0:
            return
        log.warning("job cut off", job=str(spec.id), status=status)


def warm() -> None:
    """Has loaded what jobs need, while something else is waited for. A no-op when it is."""
    _SERVER.warm()


def _run(node: Node, spec: JobSpec, report: Listener) -> int:
    process, heard = _begun(node, spec)
    listener = threading.Thread(target=_listen, args=(heard, report), daemon=True)
    listener.start()
    try:
        status = process.wait(spec.deadline_s + HANG_GRACE_S + UNDO_DEADLINE_S + _GRACE_S)
    except TimeoutError:
        process.kill()
        status = process.wait(_GRACE_S)
    finally:
        process.close()
    listener.join(10)
    return status


def _begun(node: Node, spec: JobSpec) -> tuple[Begun, int]:
    """Its process, which was told what to do, and where its reports are read."""
    with ExitStack() as undo:
        heard, reports = os.pipe()
        failed = undo.enter_context(ExitStack())
        failed.callback(os.close, heard)
        undo.callback(os.close, reports)
        read, asks = os.pipe()
        undo.callback(os.close, asks)
        try:
            process = _SERVER.begin(node.home, read, reports)
        finally:
            os.close(read)
        text = spec.model_dump_json().encode()
        with suppress(BrokenPipeError):  # killed by now
            while text:
                text = text[os.write(asks, text) :]
        failed.pop_all()
        return process, heard


def _listen(descriptor: int, report: Listener) -> None:
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            with suppress(ValidationError):  # cut off in its middle
                report(_REPORTS.validate_json(line))
