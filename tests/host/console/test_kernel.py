"""What the agent tells of an environment's walls and counters is what its own processes see."""

from runtime.contract import Limits, Purpose
from tests.host.conftest import Make
from tests.host.console.conftest import Client


def test_the_walls_are_those_that_are_seen_from_inside(agent: Client, make: Make) -> None:
    spec = make()
    path = f"/v1/environments/{spec.id}/kernel"
    status, said = agent.request("GET", path, agent.ticket(spec.id, Purpose.KERNEL))
    assert status == 200, said
    walls = said["walls"]
    _, seen = agent.exec(spec.id, "sh", "-c", "cd /proc/1/ns; for n in *; do echo $n $(readlink $n); done")
    inside = dict(line.split() for line in seen["stdout"].splitlines())
    names = {"network": "net", "mount": "mnt"}
    assert {"user", "pid", "network", "mount", "uts", "ipc", "cgroup"} <= set(walls["namespaces"])
    for name, number in walls["namespaces"].items():
        assert inside[names.get(name, name)].endswith(f"[{number}]"), name
    assert walls["ids"] == 65_536
    assert "CAP_SYS_MODULE" not in walls["capabilities"]
    assert walls["filters"] >= 1


def test_what_is_refused_for_want_of_tasks_is_counted(agent: Client, make: Make) -> None:
    spec = make(limits=Limits(cpu=1, memory_mb=64, disk_mb=64, processes=40))

    def counters() -> dict[str, dict[str, int]]:
        _, said = agent.request(
            "GET", f"/v1/environments/{spec.id}/kernel", agent.ticket(spec.id, Purpose.KERNEL)
        )
        found: dict[str, dict[str, int]] = said["counters"]
        return found

    before = counters()
    assert before["numproc"]["limit"] == 40
    assert 0 < before["numproc"]["held"] < 40
    assert before["numproc"]["failcnt"] == 0
    assert 0 < before["physpages"]["held"] <= before["physpages"]["limit"] == 64 * 256
    agent.exec(spec.id, "sh", "-c", "i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done", timeout_s=5)
    assert counters()["numproc"]["failcnt"] > 0


def test_a_ticket_for_something_else_is_refused(agent: Client, make: Make) -> None:
    spec = make()
    path = f"/v1/environments/{spec.id}/kernel"
    assert agent.request("GET", path, agent.ticket(spec.id, Purpose.EXEC))[0] == 401
    other = make()
    assert agent.request("GET", path, agent.ticket(other.id, Purpose.KERNEL))[0] == 401
