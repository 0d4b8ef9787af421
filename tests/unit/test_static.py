"""G07: shell scripts of ours, looked at by shellcheck."""

import shutil
import subprocess

import pytest

from runtime.install.layout import CHECKOUT


def _scripts() -> list[str]:
    listed = subprocess.run(
        ["git", "grep", "-lE", "^#!.*(/sh|bash)$"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return listed.stdout.split() or ["wadah", ".ci/run", "docker/engine", "docker/install", "docker/node"]


def test_g07_shell_scripts() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here: apt-get install shellcheck")
    done = subprocess.run(
        ["shellcheck", "--severity=warning", *_scripts()],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
