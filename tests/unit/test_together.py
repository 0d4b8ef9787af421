"""Tests that share something dear run in one process, also when there are two."""

import shutil
import subprocess
import sys
from pathlib import Path

from runtime.install.layout import CHECKOUT
from tests.conftest import TOGETHER

TEXT = """
import os, pytest

@pytest.mark.parametrize("number", range(5))
def test_where(number):
    with open("where", "a") as file:
        print(__name__, os.environ["PYTEST_XDIST_WORKER"], file=file)
"""


def test_those_of_a_group_meet_and_groups_are_spread(tmp_path: Path) -> None:
    names = ("faults/stack/test_a.py", "faults/stack/test_b.py", "host/test_c.py")
    for name in names:
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TEXT)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tmp_path / "tests" / "conftest.py")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
    subprocess.run(command, cwd=tmp_path, timeout=100, check=True, capture_output=True)
    seen: dict[str, set[str]] = {}
    for line in (tmp_path / "where").read_text().splitlines():
        module, process = line.split()
        seen.setdefault(module.rpartition(".")[2], set()).add(process)
    assert len(seen["test_a"]) == len(seen["test_c"]) == 1
    assert seen["test_a"] == seen["test_b"] != seen["test_c"]


def test_each_group_has_tests() -> None:
    files = [str(file.relative_to(CHECKOUT)) for file in (CHECKOUT / "tests").rglob("test_*.py")]
    for beginnings in TOGETHER.values():
        for one in beginnings:
            assert any(file.startswith(one) for file in files), one
