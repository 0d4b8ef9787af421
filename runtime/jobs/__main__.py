"""Does one job, in a process of its own (`runtime.jobs.process`): the spec comes on standard input, reports go
to a descriptor, a line each."""

import argparse
import os
import sys
from pathlib import Path

from runtime import logs
from runtime.contract import JobReport, JobSpec
from runtime.jobs.kinds import KINDS
from runtime.jobs.process import NOT_YET
from runtime.jobs.runner import Jobs, NotYet
from runtime.node import Node
from runtime.prepare import enter


def main() -> int:
    parser = argparse.ArgumentParser(description="Does one job of a node of Wadah")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--reports", type=int, required=True, metavar="FD")
    options = parser.parse_args()
    logs.configure()
    node = Node.load(options.home)
    os.umask(0o077)
    enter(node)
    os.set_inheritable(options.reports, False)
    spec = JobSpec.model_validate_json(sys.stdin.buffer.read())

    def tell(report: JobReport) -> None:
        os.write(options.reports, report.model_dump_json().encode() + b"\n")

    try:
        Jobs(node, KINDS, tell).do(spec)
    except NotYet:
        return NOT_YET
    return 0


if __name__ == "__main__":
    sys.exit(main())
