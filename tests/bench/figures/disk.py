"""Random 4 KiB writes that are waited for, as databases and dpkg make them: the host's disk beside what an
environment has of it, and a container of Docker's where that is there."""

import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.client import TENANT
from tests.bench.measure import Goal, Row, Series, Skipped, ratio
from tests.bench.peers import docker_shell

TITLE = "4 KiB at a random place and fdatasync, writes per second, in turn; one writer"
PROGRAM = Path(__file__).parents[1] / "sync.c"
_WRITES = 200
_UNIT = "/s"
_SIZE_MB = 64


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    with tempfile.TemporaryDirectory(dir=bench.installation.home.parent) as scratch:
        program = Path(scratch) / "sync"
        subprocess.run(["gcc", "-O2", "-static", "-s", "-o", program, PROGRAM], check=True, timeout=60)
        made = bench.client.create(limits={"cpu": 1, "memory_mb": 128, "disk_mb": 256})
        volumes = [_attached(bench, made, one) for one in ("standard", "database")]
        try:
            _put(bench, made, program)
            yield from _in_turn(bench, made, program, Path(scratch) / "file")
        finally:
            bench.client.delete(made)
            for volume in volumes:
                bench.client.call("DELETE", f"/volumes/{volume}")


def _in_turn(bench: Bench, made: str, program: Path, file: Path) -> Iterator[Row | Skipped]:
    with docker_shell(bench, program) as (in_docker, reason):
        docker = Series("a container of Docker's", unit=_UNIT)
        yield from _pairs(bench, made, program, file, docker, in_docker if not reason else None)
        yield Skipped(docker.label, reason) if reason else docker.row()


def _pairs(
    bench: Bench,
    made: str,
    program: Path,
    file: Path,
    docker: Series,
    in_docker: Callable[..., str] | None,
) -> Iterator[Row | Skipped]:
    host = Series("the host's disk", unit=_UNIT)
    root = Series("an environment's root", unit=_UNIT)
    standard = Series("a volume", unit=_UNIT)
    database = Series("a volume for databases", unit=_UNIT)
    inside = {"/root/file": root, "/mnt/standard/file": standard, "/mnt/database/file": database}
    for turn in range(bench.runs + 1):
        words = [str(program), str(file), str(_WRITES)]
        host.add(float(subprocess.run(words, check=True, capture_output=True, timeout=120).stdout))
        for place, series in inside.items():
            series.add(float(bench.client.sh(made, f"/root/sync {place} {_WRITES}")))
        if in_docker is not None:
            docker.add(float(in_docker("/sync", "/file", str(_WRITES))))
        if turn == 0:  # it made the files
            for series in (host, docker, *inside.values()):
                series.values.clear()
    for series in (host, root, standard, database):
        yield series.row()
    yield ratio("root / host", root, host, goals=(Goal("median", 0.5, at_least=True),))
    yield ratio("volume for databases / host", database, host, goals=(Goal("median", 2 / 3, at_least=True),))


def _attached(bench: Bench, made: str, volume_class: str) -> str:
    values = {"tenant": TENANT, "name": volume_class, "size_mb": _SIZE_MB, "volume_class": volume_class}
    answer = bench.client.call("POST", "/volumes", values)
    assert answer.status == 202, answer.body
    volume = str(answer.body["id"])
    bench.client.wait(lambda: bench.client.call("GET", f"/volumes/{volume}").body["state"] == "ready")
    answer = bench.client.call("POST", f"/volumes/{volume}/attach", {"environment": made})
    assert answer.status == 202, answer.body
    place = f"/mnt/{volume_class}"
    bench.client.wait(lambda: bench.client.sh(made, f"grep -c ' {place} ' /proc/mounts; true") == "1")
    return volume


def _put(bench: Bench, made: str, program: Path) -> None:
    headers = {
        "Authorization": f"Bearer {bench.installation.token}",
        "Content-Type": "application/octet-stream",
    }
    address = f"{bench.installation.url}/api/v1/environments/{made}/files/content?path=/root/sync"
    request = urllib.request.Request(address, program.read_bytes(), headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60):
        bench.client.sh(made, "chmod 755 /root/sync")
