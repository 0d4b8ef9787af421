"""Does jobs, each in a process of its own (`runtime.jobs.fork_server`): the spec comes on standard input, its
reports go to a descriptor, a line each."""

import argparse
import gc
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from runtime import logs
from runtime.contract import JobReport, JobSpec, Report
from runtime.host import libc
from runtime.jobs.fork_server import serve
from runtime.jobs.kinds import KINDS
from runtime.jobs.process import NOT_YET
from runtime.jobs.runner import Jobs, NotYet
from runtime.node import Node
from runtime.prepare import enter


def _stop(*_: object) -> None:
    """So that a step ends the programs that it runs. Whoever comes next goes on with the job."""
    raise SystemExit("stopped")


def _do(home: Path, reports: int, parent: int) -> int:
    node = Node.load(home)
    os.umask(0o077)
    enter(node)
    os.set_inheritable(reports, False)
    signal.signal(signal.SIGTERM, _stop)
    libc.end_with_parent(parent)
    spec = JobSpec.model_validate_json(sys.stdin.buffer.read())

    one_at_a_time = threading.Lock()

    def tell(report: JobReport | Report) -> None:
        with one_at_a_time:  # lines longer than PIPE_BUF are written in pieces
            os.write(reports, report.model_dump_json().encode() + b"\n")

    try:
        Jobs(node, KINDS, tell, of_environment=tell).do(spec)
    except NotYet:
        return NOT_YET
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Does jobs of nodes of Wadah")
    parser.add_argument("--control", type=int, required=True, metavar="FD", help="where it is asked")
    options = parser.parse_args()
    logs.configure()
    os.set_inheritable(options.control, False)
    gc.freeze()  # what is loaded is shared with what is forked, and not looked at again by each
    return serve(socket.socket(fileno=options.control), _do)


if __name__ == "__main__":
    sys.exit(main())
