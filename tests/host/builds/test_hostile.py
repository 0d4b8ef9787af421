"""Dockerfiles that never end, fork, fill the disk, talk without end, and look for what isn't theirs."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from runtime.builds.places import BuildPlaces
from runtime.contract import JobOutcome, JobReport, JobSpec
from runtime.contract.build import MOST_LOG_BYTES
from runtime.host import btrfs
from runtime.host.cgroup import groups
from runtime.jobs.kinds import KINDS
from runtime.jobs.records import JobRecords
from runtime.jobs.runner import Jobs
from runtime.node import Node
from tests.host.builds.conftest import Build, spec_of
from tests.support.registry import Hub

Log = Callable[[JobReport], str]


def nothing_left(node: Node, source: UUID) -> None:
    places = BuildPlaces(node, source)
    assert not btrfs.is_subvolume(places.work)
    assert not btrfs.is_subvolume(places.layers)
    assert not list(node.mounts.glob("import-*"))
    assert not groups().children(f"{node.cgroup_name}/{UUID(int=7)}")


@pytest.mark.parametrize(
    ("run", "code"),
    [
        ("dd if=/dev/zero of=/full bs=1048576 count=2000", "disk_full"),
        ("sh -c 'f() { f | f & f; }; f'", "build_failed"),
        ("x=abcdefgh; while true; do x=$x$x; done", "build_failed"),
    ],
    ids=["disk", "forks", "memory"],
)
def test_it_ends_within_its_limits(
    build: Build, hub: Hub, node: Node, source: UUID, log_of: Log, run: str, code: str
) -> None:
    report = build(dockerfile_text=f"FROM {hub.host}/lib/base:1\nRUN {run}\n", within_s=40)
    assert report.outcome is JobOutcome.FAILED
    assert report.code in (code, "deadline_passed"), (report.code, report.message.told(), log_of(report))
    nothing_left(node, source)


def test_output_without_end_is_kept_up_to_a_bound(build: Build, hub: Hub, node: Node, source: UUID) -> None:
    words = "while true; do echo 0123456789012345678901234567890123456789; done | head -c 9000000"
    report = build(dockerfile_text=f'FROM {hub.host}/lib/base:1\nRUN {words}\nCMD ["sh"]\n')
    assert report.outcome is JobOutcome.SUCCEEDED, report.message.told()
    log = BuildPlaces(node, source).log(report.id)
    assert log.stat().st_size < MOST_LOG_BYTES + 1000


def test_one_that_never_ends_is_cancelled(build: Build, hub: Hub, node: Node, source: UUID) -> None:
    spec = spec_of(
        node, hub, source=source, dockerfile_text=f"FROM {hub.host}/lib/base:1\nRUN echo began; sleep 3600\n"
    )
    told: list[JobReport] = []
    jobs = Jobs(node, KINDS, told.append)
    thread = threading.Thread(target=jobs.do, args=(spec,))
    thread.start()
    log = BuildPlaces(node, source).log(spec.id)
    until = time.monotonic() + 60
    while not (log.exists() and "began\n" in log.read_text().replace("echo began", "")):
        assert time.monotonic() < until
        time.sleep(0.1)
    JobRecords(node, spec.id).accept(JobSpec.model_validate({**spec.model_dump(), "generation": 2}))
    thread.join(60)
    assert told[-1].outcome is JobOutcome.CANCELLED
    nothing_left(node, source)


def test_what_runs_sees_no_secret_of_others_and_reaches_nothing_inside(
    build: Build, hub: Hub, log_of: Log
) -> None:
    port = hub.host.rpartition(":")[2]
    text = f"""
FROM {hub.host}/lib/base:1
RUN --mount=type=secret,id=key cat /run/secrets/key; wc -c < /run/secrets/key
RUN cat /proc/1/environ || echo no-environ; cat /proc/1/root/secrets/key || echo no-root
RUN (echo; sleep 1) | nc -w 2 127.0.0.1 {port} && echo REACHED-IT; true
RUN printf 'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n' | nc -w 3 127.0.0.1 3128 | head -n 1; env
CMD ["sh"]
"""
    report = build(dockerfile_text=text, secrets={"secrets": {"key": "very-secret-words"}})
    log = log_of(report)
    assert report.outcome is JobOutcome.SUCCEEDED, f"{report.message.told()}\n{log}"
    assert "very-secret-words" not in log
    assert "•••17" in log, log
    assert "no-root" in log
    assert "REACHED-IT" not in log.replace("&& echo REACHED-IT", "")
    assert "403 Forbidden" in log


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("FROM 127.0.0.1:1/x:1\n", "registry_inward"),
        ("FROM ?!\n", "odd_base"),
        ("this is no Dockerfile\n", "build_failed"),
        ("FROM scratch\nCOPY --from=../../../etc/passwd a b\n", "odd_base"),
        ("FROM scratch\nCOPY ../../proc/self/environ /x\n", "build_failed"),
    ],
)
def test_what_is_no_build_is_refused(build: Build, node: Node, source: UUID, text: str, code: str) -> None:
    report = build(dockerfile_text=text)
    assert report.outcome is JobOutcome.FAILED
    assert report.code == code, report.message.told()
    nothing_left(node, source)
