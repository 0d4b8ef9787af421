"""The Python packages of a second installation, on a machine whose network has gone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.install.layout import CHECKOUT


def test_a_second_installation_needs_no_network(tmp_path: Path) -> None:
    uv = CHECKOUT / ".venv" / "bin" / "uv"
    if not uv.exists() and not shutil.which("uv"):
        pytest.skip("no uv, which keeps what it fetched")
    script = (
        "from pathlib import Path; from runtime.install import python;"
        f"python.PAUSES_S = (); python.ensure(Path({str(tmp_path / 'venv')!r}),"
        " Path('requirements/runtime.lock'))"
    )
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    asked = [str(tmp_path / "venv" / "bin" / "python"), "-c", "import celery, pydantic, pyroute2"]
    assert subprocess.run(asked, timeout=60, check=False).returncode == 0
