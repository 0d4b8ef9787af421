"""`up`, `status`, `down`: what a person sees of the two commands."""

import json
import os
import signal
import stat
from pathlib import Path

from tests.e2e.support import Installation

ROLES = {"front", "web", "uploads", "ws", "panel-worker", "beat", "node-worker", "node-slow", "agent", "redis"}
ROLES |= {"registry", "registry-gate"}


def _processes(wadah: Installation) -> dict[str, dict[str, object]]:
    said = wadah.wadah("status", "--json", check=False)
    return {one["role"]: one for one in json.loads(said.stdout)["processes"]}


def test_the_demo_environment_runs(wadah: Installation) -> None:
    answer = wadah.call("GET", "/environments?name=hello")
    assert answer.body["items"][0]["state"] == "running"
    assert answer.body["items"][0]["image"] == "debian-12"
    hello = wadah.call("GET", f"/environments/{answer.body['items'][0]['id']}").body
    size_kib = wadah.sh(hello["id"], "df -k --output=size / | tail -n 1; getconf _PHYS_PAGES").split()
    assert int(size_kib[0]) == hello["limits"]["disk_mb"] * 1024
    assert int(size_kib[1]) * 4 == hello["limits"]["memory_mb"] * 1024


def test_every_role_runs_and_only_the_node_half_is_root(wadah: Installation) -> None:
    processes = _processes(wadah)
    assert set(processes) == ROLES
    for role, one in processes.items():
        assert one["state"] == "running", role
        status = Path(f"/proc/{one['pid']}/status").read_text()
        uid = int(status.split("Uid:")[1].split()[0])
        capabilities = int(status.split("CapEff:")[1].split()[0], 16)
        if role in ("agent", "node-worker", "node-slow"):
            assert uid == 0, role
        else:
            assert uid != 0, role
            assert capabilities == 0, role
            assert "NoNewPrivs:\t1" in status, role


def test_admin_json_is_for_root_only(wadah: Installation) -> None:
    file = wadah.home / "admin.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {"url", "username", "password", "token"}


def test_sockets_are_for_the_panels_group_and_configuration_is_roots(wadah: Installation) -> None:
    for socket in ("web.sock", "uploads.sock", "ws.sock", "agent.sock", "redis.sock"):
        assert stat.S_IMODE((wadah.home / "run" / socket).stat().st_mode) == 0o660, socket
    assert stat.S_IMODE(wadah.home.stat().st_mode) == 0o750
    assert wadah.home.joinpath("run").stat().st_mode & stat.S_ISVTX
    for file in (wadah.home / "etc").iterdir():
        assert file.stat().st_uid == 0, file
        assert not file.stat().st_mode & 0o022, file
    for name in ("log", "etc", "app", "venv", "node"):
        assert not (wadah.home / name).stat().st_mode & 0o022, name
        assert (wadah.home / name).stat().st_uid == 0, name


def test_a_killed_process_is_started_again(wadah: Installation) -> None:
    for role in ("web", "agent", "node-worker", "redis"):
        before = _processes(wadah)[role]["pid"]
        assert isinstance(before, int)
        os.kill(before, signal.SIGKILL)
        wadah.wait(
            lambda role=role, before=before: _processes(wadah)[role]["pid"] not in (None, before),  # type: ignore[misc]
            10,
        )
    wadah.wait(lambda: wadah.call("GET", "/environments").status == 200, 15)
    made = wadah.create()
    assert wadah.sh(made, "echo works") == "works"
    wadah.delete(made)


def test_down_leaves_environments_running_and_up_finds_them(wadah: Installation) -> None:
    made = wadah.create()
    wadah.sh(made, "echo here > /root/mark; (sleep 300 &) ; true")
    pid = wadah.get(made)["started_at"]
    wadah.wadah("down")
    listed = json.loads(wadah.wadah("node", "list", "--json").stdout)
    assert [one["state"] for one in listed if one["id"] == made] == ["running"]
    wadah.wadah("up", "--detach", "--no-demo")
    seen = wadah.wait_state(made, "running")
    assert seen["started_at"] == pid
    assert wadah.sh(made, "cat /root/mark") == "here"
    wadah.delete(made)


def test_nothing_leaks(wadah: Installation) -> None:
    made = wadah.create()
    wadah.delete(made)
    said = wadah.wadah("node", "leaks")
    assert "no leaks" in said.stdout
