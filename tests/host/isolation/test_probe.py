"""A02: what the kernel lets root inside do, call by call, against a list that was read by a person."""

import os
import re
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.laboratory import compiled

HERE = Path(__file__).parent
GOLDEN = HERE / "probe.golden"


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(HERE / "probe.c", tmp_path_factory.mktemp("probe"))


def _run(node: Node, spec: EnvironmentSpec, probe: Path) -> dict[str, str]:
    """`what was tried -> ok or the errno`, run by root inside."""
    from tests.host.support.laboratory import inside

    def receive(size: int) -> int:
        import os

        data = b""
        with open("/probe.part", "rb") as file:
            data = file.read()
        with open("/root/probe", "wb") as file:
            file.write(data)
        os.chmod("/root/probe", 0o700)
        os.unlink("/probe.part")
        return len(data) - size

    (node.root_volume(spec.id) / "probe.part").write_bytes(probe.read_bytes())
    assert inside(node, spec, receive, probe.stat().st_size) == 0
    said = sh(node, spec, "mkdir -p /tmp /mnt && cd / && /root/probe; true")
    rows = [re.fullmatch(r"(.+?)\s+(ok|E[A-Z0-9]+)", line) for line in said.splitlines()]
    return {row[1].strip(): row[2] for row in rows if row}


def _read(text: str) -> dict[str, set[str]]:
    """Lines `what: answers`, one or more; what follows a # is for people."""
    found = {}
    for line in text.splitlines():
        name, _, answers = line.partition("  # ")[0].rpartition(": ")
        if name and not name.startswith("#"):
            found[name.strip()] = set(answers.split())
    return found


def test_a02_the_probe_says_what_was_reviewed(node: Node, make: Make, image: str, probe: Path) -> None:
    seen = _run(node, make(image=image), probe)
    if os.environ.get("WADAH_WRITE_GOLDEN"):
        GOLDEN.write_text("".join(f"{name}: {answer}\n" for name, answer in seen.items()))
    reviewed = _read(GOLDEN.read_text())
    assert seen.keys() == reviewed.keys()
    odd = {name: answer for name, answer in seen.items() if answer not in reviewed[name]}
    # on another kernel a call may be missing in another way; what may never be is that it works
    assert not {name for name, answer in odd.items() if answer == "ok"}, odd
    assert not {name for name, answers in reviewed.items() if answers == {"ok"} and seen[name] != "ok"}, odd


def test_a02_a_strict_environment_can_do_nothing_more(node: Node, make: Make, image: str, probe: Path) -> None:
    seen = _run(node, make(image=image, security={"confinement": "strict"}), probe)
    reviewed = _read(GOLDEN.read_text())
    assert not {name for name, answer in seen.items() if answer == "ok" and "ok" not in reviewed[name]}
    for name in ("AF_PACKET raw", "AF_INET raw"):
        assert seen[name] != "ok", name
