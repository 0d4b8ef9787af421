"""What every figure of the benchmark gets: an installation, a client, the helper inside, how often."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runtime.node import Node
from tests.bench.client import Client
from tests.bench.inside import Inside
from tests.e2e.support import Installation, free_port, installation

#: Below which name tenants' domains are served for the rollout of `apps`.
WILDCARD = "apps.bench.example"


@dataclass
class Bench:
    installation: Installation
    node: Node
    client: Client
    inside: Inside
    runs: int
    count: int
    """Environments of the figures that want many."""
    domains_port: int | None = None
    """Where it serves names below `WILDCARD`, without TLS."""
    filled: list[str] = field(default_factory=list)
    """Idle environments that are on the node while everything is measured."""

    def processes(self) -> dict[str, list[int]]:
        """Pids of the installation by role, each with its children."""
        said = json.loads(self.installation.wadah("status", "--json").stdout)["processes"]
        return {one["role"]: family(int(one["pid"])) for one in said if one["pid"]}

    def cpu_ms(self) -> float:
        """Processor time that the installation's processes and their ended children have used so far."""
        return sum(self.cpu_ms_of_roles().values())

    def cpu_ms_of_roles(self) -> dict[str, float]:
        """The same by role."""
        a_tick = 1000 / os.sysconf("SC_CLK_TCK")
        return {role: sum(map(_ticks, pids)) * a_tick for role, pids in self.processes().items()}

    def fill(self, number: int) -> None:
        for _ in range(number):
            self.filled.append(self.client.create())

    def tidy(self) -> None:
        """Deletes what a figure has left; asks rather than waits for events, which may have come before."""
        self.client.rest()
        left = self.client.made - set(self.filled)
        for one in left:
            self.client.call("DELETE", f"/environments/{one}")
        for one in left:
            self.client.wait(lambda one=one: self.client.call("GET", f"/environments/{one}").status == 404)
        self.client.made -= left

    def empty(self) -> None:
        """Deletes all that the benchmark made, whatever went wrong before."""
        self.filled.clear()
        self.tidy()


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found.extend(int(word) for word in task.read_text().split())
    return found


def _ticks(pid: int) -> int:
    """utime, stime, cutime and cstime of proc_pid_stat(5)."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(int(word) for word in words[11:15])


@contextmanager
def benchmark(home: Path | None, runs: int, count: int, *, has_domains: bool = False) -> Iterator[Bench]:
    """On the installation in `home`, which must be up; without one on a new one, purged afterwards."""
    port: int | None = None
    with ExitStack() as stack:
        if home is None:
            # it makes and deletes more than the few id ranges of such a home can rest after
            os.environ["WADAH_SLOT_LEAST_REST_S"] = "1"
            options: list[str] = []
            if has_domains:
                port = free_port()
                os.environ["WADAH_DOMAINS_WILDCARD"] = WILDCARD
                options = ["--domains", "127.0.0.1", "--domains-ports", f"{port},{free_port()}"]
            used = stack.enter_context(installation(*options))
        else:
            admin = json.loads((home / "admin.json").read_text())
            used = Installation(home, *(admin[key] for key in ("url", "username", "password", "token")))
        inside = Inside(used.home)
        stack.callback(inside.close)
        client = Client(used)
        stack.callback(client.close)
        bench = Bench(used, Node.load(used.home), client, inside, runs, count, domains_port=port)
        stack.callback(bench.empty)
        stack.callback(inside.call, "tidy")
        yield bench
