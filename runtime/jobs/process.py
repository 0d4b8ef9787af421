"""Has a job done by a process of its own, and ends that when it hangs.

So a job that hangs, or eats memory, takes nobody else's with it. Its reports come back here, to who can keep
them while the panel is away.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog
from pydantic import TypeAdapter, ValidationError

from runtime.contract import JobReport, JobSpec, Report
from runtime.jobs.records import JobRecords
from runtime.jobs.runner import MAX_ATTEMPTS, NotYet
from runtime.node import Node
from runtime.work import HANG_GRACE_S, UNDO_DEADLINE_S

__all__ = ["NOT_YET", "NotYet", "do_apart"]

log = structlog.get_logger()

#: EX_TEMPFAIL of sysexits.h(3head): the process's own word for `NotYet`.
NOT_YET = 75
#: It ends itself when a step hangs; after this much more it is ended from outside.
_GRACE_S = 60.0
_REPORTS: TypeAdapter[JobReport | Report] = TypeAdapter(JobReport | Report)
_PROGRAM = (sys.executable, "-m", "runtime.jobs")


#: Told of a job, or of an environment that one has changed.
Listener = Callable[[JobReport | Report], object]


def do_apart(node: Node, spec: JobSpec, report: Listener) -> None:
    """Returns when it has ended, or another process is at work on it. One that was killed is followed by
    another, which goes on with it or takes it back. Raises `NotYet`."""
    records = JobRecords(node, spec.id)
    records.accept(spec)
    with records.turn(spec) as mine:
        if not mine:  # found out here, since to begin a process takes half a second
            raise NotYet
    for _ in range(MAX_ATTEMPTS + 1):
        status = _run(node, spec, report)
        if status == NOT_YET:
            raise NotYet
        if status == 0:
            return
        log.warning("job cut off", job=str(spec.id), status=status)


def _run(node: Node, spec: JobSpec, report: Listener) -> int:
    ours, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            [*_PROGRAM, f"--home={node.home}", f"--reports={theirs}", f"--parent={os.getpid()}"],
            stdin=subprocess.PIPE,
            pass_fds=(theirs,),
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    listener = threading.Thread(target=_listen, args=(ours, report), daemon=True)
    listener.start()
    within_s = spec.deadline_s + HANG_GRACE_S + UNDO_DEADLINE_S + _GRACE_S
    try:
        process.communicate(spec.model_dump_json().encode(), timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode not in (0, NOT_YET):
        with suppress(ProcessLookupError):  # programs that it ran, and could not end
            os.killpg(process.pid, signal.SIGKILL)
    listener.join(10)
    return process.returncode


def _listen(descriptor: int, report: Listener) -> None:
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            with suppress(ValidationError):  # cut off in its middle
                report(_REPORTS.validate_json(line))
