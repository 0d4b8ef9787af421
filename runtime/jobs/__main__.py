"""Does one job, in a process of its own (`runtime.jobs.process`): the spec comes on standard input, reports go
to a descriptor, a line each."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from runtime import logs
from runtime.contract import JobReport, JobSpec, Report
from runtime.host import libc
from runtime.jobs.kinds import KINDS
from runtime.jobs.process import NOT_YET
from runtime.jobs.runner import Jobs, NotYet
from runtime.node import Node
from runtime.prepare import enter


def _stop(*_: object) -> None:
    """So that a step ends the programs that it runs. Whoever comes next goes on with the job."""
    raise SystemExit("stopped")


def main() -> int:
    parser = argparse.ArgumentParser(description="Does one job of a node of Wadah")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--reports", type=int, required=True, metavar="FD")
    parser.add_argument("--parent", type=int, required=True, metavar="PID", help="it ends with this one")
    options = parser.parse_args()
    logs.configure()
    node = Node.load(options.home)
    os.umask(0o077)
    enter(node)
    os.set_inheritable(options.reports, False)
    signal.signal(signal.SIGTERM, _stop)
    libc.end_with_parent(options.parent)
    spec = JobSpec.model_validate_json(sys.stdin.buffer.read())

    one_at_a_time = threading.Lock()

    def tell(report: JobReport | Report) -> None:
        with one_at_a_time:  # lines longer than PIPE_BUF are written in pieces
            os.write(options.reports, report.model_dump_json().encode() + b"\n")

    try:
        Jobs(node, KINDS, tell, of_environment=tell).do(spec)
    except NotYet:
        return NOT_YET
    return 0


if __name__ == "__main__":
    sys.exit(main())
