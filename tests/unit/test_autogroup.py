"""Whose turn it is: what answers people goes before all environments together, and nobody else does."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.host.autogroup import ANSWERS, put_first
from runtime.install.front import Front
from runtime.install.layout import Layout
from runtime.install.roles import roles
from runtime.install.units import units

LAYOUT, FRONT = Layout(Path("/var/lib/wadah")), Front("http://127.0.0.1:8080", bind=("127.0.0.1",))


@pytest.fixture
def shell() -> "Iterator[subprocess.Popen[bytes]]":
    """In a session of its own."""
    process = subprocess.Popen(
        ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
    )
    yield process
    process.communicate(timeout=20)


def _nice(pid: int) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text().split()[-1]


def test_a_session_is_put_first_and_what_leaves_it_is_not(shell: "subprocess.Popen[bytes]") -> None:
    if os.geteuid() != 0 or not Path("/proc/self/autogroup").exists():
        pytest.skip("needs root and a kernel with autogroups")
    put_first(shell.pid, ANSWERS)
    assert _nice(shell.pid) == str(ANSWERS)
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(b"setsid sh -c 'cat /proc/self/autogroup'\n")
    assert shell.stdout.readline().split()[-1] == b"0"


def test_for_who_is_gone_it_is_a_no_op(shell: "subprocess.Popen[bytes]") -> None:
    shell.communicate(timeout=20)
    put_first(shell.pid, ANSWERS)


def test_what_a_tenant_can_keep_busy_in_the_background_is_not_put_first() -> None:
    first = {role.name for role in roles(LAYOUT, FRONT) if role.nice < 0}
    assert first == {"redis", "agent", "web", "ws", "front"}
    named = units(LAYOUT, FRONT)
    assert {name for name, text in named.items() if "/autogroup'" in text} == {
        f"wadah-{one}.service" for one in first
    }
