"""G07: Django's own look at the settings of a panel that is reached over TLS."""

import os
import subprocess
import sys

from runtime.install.layout import CHECKOUT


def test_g07_check_deploy() -> None:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    environment = {**os.environ, "WADAH_URL": "https://panel.example.org", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
