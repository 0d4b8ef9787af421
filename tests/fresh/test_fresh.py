"""What README.md says, done on a machine that has nothing but Debian, python3 and git."""

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fresh.machine import Machine, bare_machine

pytestmark = pytest.mark.root
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with bare_machine() as made:
        if not made.has_way_out():
            pytest.skip("Debian's mirror isn't reached from a network namespace of this machine")
        yield made


class Up:
    """`./wadah up` in a terminal, as somebody leaves it running there."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self._greeted = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("Ctrl-C"):
                self._greeted.set()
        self._greeted.set()

    def greeting(self, seconds: float) -> tuple[str, str, str]:
        """URL, name and password."""
        is_heard = self._greeted.wait(seconds)
        text = "".join(self.said)
        found = re.search(r"Open +(\S+).*Sign in +(\S+) / (\S+)", text, re.DOTALL)
        assert is_heard and found, text
        return found[1], found[2], found[3]


@pytest.mark.timeout(850)
def test_from_nothing_to_a_running_environment_and_back_to_nothing(machine: Machine) -> None:
    machine.run("git", "clone", "--quiet", "/srv/wadah.git", "wadah", timeout_s=180)
    before = machine.python(HERE / "traces.py")
    up = Up(machine.start(["./wadah", "up"], cwd="/root/wadah"))
    try:
        url, name, password = up.greeting(720)
        machine.python(HERE / "visitor.py", url, name, password, "/var/lib/wadah")
        assert "first" in machine.run("./wadah", "node", "list", cwd="/root/wadah")
        machine.run("./wadah", "down", "--purge", cwd="/root/wadah", timeout_s=180)
        assert up.process.wait(30) == 0, "".join(up.said)
    finally:
        up.process.kill()
    after = machine.python(HERE / "traces.py")
    left = sorted(set(after.splitlines()) - set(before.splitlines()))
    assert not left, "left behind:\n" + "\n".join(left)
