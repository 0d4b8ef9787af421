"""One command inside an environment."""

import asyncio
import json
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any
from uuid import UUID

import pytest

from runtime.agent.app import EXECS_PER_ENVIRONMENT
from runtime.console.exec import OUTPUT_BYTES
from runtime.contract import DesiredState, Purpose
from runtime.engine import Engine
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.console.conftest import Client, in_loop
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until


def test_output_and_exit_code(agent: Client, make: Make) -> None:
    spec = make()
    status, done = agent.exec(spec.id, "sh", "-c", "cat; echo oops >&2; exit 3", stdin="in")
    assert status == 200
    assert (done["exit_code"], done["stdout"], done["stderr"]) == (3, "in", "oops\n")


def test_output_is_capped_and_says_so(agent: Client, make: Make) -> None:
    spec = make()
    _, done = agent.exec(spec.id, "sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo short >&2")
    assert len(done["stdout"]) == OUTPUT_BYTES
    assert done["truncated"]
    assert done["stderr"] == "short\n"
    assert done["exit_code"] == 0


def test_at_the_deadline_all_of_it_is_killed(agent: Client, make: Make) -> None:
    spec = make()
    begin = time.monotonic()
    _, done = agent.exec(spec.id, "sh", "-c", "sleep 4321 & sleep 1234; echo no", timeout_s=0.5)
    assert time.monotonic() - begin < 60
    assert done["timed_out"]
    assert done["exit_code"] == 124
    _, listed = agent.exec(spec.id, "ps", "-o", "args")
    assert "1234" not in listed["stdout"]
    assert "4321" not in listed["stdout"]


def test_a_daemon_that_keeps_the_pipes_does_not_hold_it_up(agent: Client, make: Make) -> None:
    spec = make()
    begin = time.monotonic()
    _, done = agent.exec(spec.id, "sh", "-c", "sleep 600 & echo started")
    assert done["stdout"] == "started\n"
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("field", ["CapEff", "CapBnd", "CapInh", "CapAmb", "Seccomp", "NoNewPrivs", "Groups"])
def test_a12_exec_is_confined_as_init_is(agent: Client, make: Make, node: Node, field: str) -> None:
    spec = make()
    pid = init_pid(node, spec.id)
    _, done = agent.exec(spec.id, "cat", "/proc/self/status")
    assert _status(done["stdout"])[field] == _status(Path(f"/proc/{pid}/status").read_text())[field]


def test_a12_namespaces_limits_and_oom_score_are_those_of_init(agent: Client, make: Make, node: Node) -> None:
    spec = make()
    script = "readlink /proc/self/ns/*; cat /proc/self/oom_score_adj /proc/self/limits /proc/self/cgroup"
    _, mine = agent.exec(spec.id, "sh", "-c", script)
    _, inits = agent.exec(spec.id, "sh", "-c", script.replace("/self/", "/1/"))
    assert mine["stdout"] == inits["stdout"]


def _status(text: str) -> dict[str, str]:
    return {key: rest.strip() for key, _, rest in (line.partition(":") for line in text.splitlines())}


def test_no_descriptor_but_three_goes_in(agent: Client, make: Make) -> None:
    spec = make()
    _, done = agent.exec(spec.id, "sh", "-c", "ls -l /proc/$$/fd; true")
    assert done["stdout"].count(" -> ") == 3


def test_a14_a_hostile_shell_gets_no_program_of_the_host(agent: Client, make: Make) -> None:
    spec = make()
    programs = [Path("/usr/bin/crun"), Path("/usr/bin/conmon")]
    before = [subprocess.check_output(["sha256sum", one]) for one in programs]
    agent.exec(spec.id, "sh", "-c", "rm /bin/true; printf '#!/proc/self/exe\\n' >/bin/true; chmod +x /bin/true")
    for _ in range(20):
        assert agent.exec(spec.id, "/bin/true")[1]["exit_code"] != 0
    assert [subprocess.check_output(["sha256sum", one]) for one in programs] == before


def test_a15_its_directory_is_inside(agent: Client, make: Make) -> None:
    spec = make()
    assert agent.exec(spec.id, "pwd")[1]["stdout"] == "/\n"
    status, refused = agent.exec(spec.id, "pwd", cwd="/proc/self/fd/7")
    assert status == 422
    assert "cwd" in refused["message"]


def test_a_command_that_is_not_there_is_told(agent: Client, make: Make) -> None:
    spec = make()
    status, done = agent.exec(spec.id, "/no/such")
    assert (status, done["exit_code"]) == (200, 127)
    assert "/no/such" in done["stderr"]


@pytest.mark.parametrize("body", [{}, {"command": []}, {"command": "ls"}, {"command": ["ls"], "timeout_s": 0}])
def test_nonsense_is_refused(agent: Client, make: Make, body: dict[str, Any]) -> None:
    spec = make()
    path = f"/v1/environments/{spec.id}/exec"
    status, refused = agent.request("POST", path, agent.ticket(spec.id, Purpose.EXEC), body)
    assert status == 422
    assert refused["code"] == "bad_command"


def test_of_a_stopped_environment_it_is_refused(
    agent: Client, make: Make, engine: Engine, specs: Specs
) -> None:
    spec = make()
    engine.apply(specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0))
    status, refused = agent.exec(spec.id, "true")
    assert status == 409
    assert refused["code"] == "not_running"


@in_loop
async def test_many_at_once(agent: Client, make: Make) -> None:
    spec = await asyncio.to_thread(make)
    jobs = (asyncio.to_thread(agent.exec, spec.id, "echo", str(number)) for number in range(8))
    answers = await asyncio.gather(*jobs)
    assert [done["stdout"] for _, done in answers] == [f"{number}\n" for number in range(8)]


def _ask(agent: Client, environment_id: UUID, *command: str) -> HTTPConnection:
    """Begins a command, and leaves its answer to be read."""
    connection = HTTPConnection("localhost", timeout=30)
    connection.sock = socket(AF_UNIX, SOCK_STREAM)
    connection.sock.connect(str(agent.node.agent_socket))
    headers = {"Authorization": f"Bearer {agent.ticket(environment_id, Purpose.EXEC)}"}
    body = json.dumps({"command": command, "timeout_s": 600})
    connection.request("POST", f"/v1/environments/{environment_id}/exec", body, headers)
    return connection


def _runs(agent: Client, environment_id: UUID, words: str) -> bool:
    return words in agent.exec(environment_id, "ps", "-o", "args")[1]["stdout"]


def test_who_hangs_up_ends_his_command(agent: Client, make: Make) -> None:
    """With all that it began; what others run goes on."""
    spec = make()
    kept = _ask(agent, spec.id, "sleep", "7654")
    left = _ask(agent, spec.id, "sh", "-c", "sleep 4321 & sleep 1234")
    wait_until(lambda: all(_runs(agent, spec.id, f"sleep {n}") for n in (7654, 4321, 1234)), "all of them")
    left.close()
    wait_until(
        lambda: not any(_runs(agent, spec.id, f"sleep {n}") for n in (4321, 1234)), "the end of what was left"
    )
    assert _runs(agent, spec.id, "sleep 7654")
    kept.close()
    wait_until(lambda: not _runs(agent, spec.id, "sleep 7654"), "its end")


def test_as_many_as_may_run_hold_up_no_look_at_a_terminal(agent: Client, make: Make) -> None:
    """The ninth is refused by 429; terminals, and commands of a neighbour, have threads of their own."""
    spec, other = make(), make()
    running = [_ask(agent, spec.id, "sleep", "600") for _ in range(EXECS_PER_ENVIRONMENT)]
    wait_until(lambda: agent.exec(spec.id, "true")[0] == 429, "a refusal")
    path = f"/v1/environments/{spec.id}/terminals"
    assert agent.request("GET", path, agent.ticket(spec.id, Purpose.TERMINAL)) == (200, {"terminals": []})
    assert agent.exec(other.id, "echo", "here")[1]["stdout"] == "here\n"
    for one in running:
        one.close()
    wait_until(lambda: agent.exec(spec.id, "true")[0] == 200, "room for one more")
