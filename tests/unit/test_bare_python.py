"""`up` begins on a machine that has Python alone: none of its modules wants a package."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(one.stem for one in (ROOT / "runtime/install").glob("*.py") if one.stem != "testing")


@pytest.mark.parametrize("name", NAMES)
def test_the_installer_wants_no_package(name: str) -> None:
    lone = [sys.executable, "-I", "-S", "-c"]
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runtime.install.{name}"
    done = subprocess.run([*lone, program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
