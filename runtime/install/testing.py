"""`test`: installs what tests need, then checks and tests, fast ones first; `bench`: measures."""

import os
import subprocess
import time

from runtime.install import python
from runtime.install.host import (
    NODE_PACKAGES,
    PANEL_PACKAGES,
    TEST_PACKAGES,
    ensure_user,
    install_packages,
    run,
)
from runtime.install.layout import CHECKOUT
from runtime.install.say import Stop, line, plain

VENV = CHECKOUT / ".venv"
#: Static checks: name and command, run from the checkout.
CHECKS = (
    ("ruff", ["ruff", "check", "--quiet", "."]),
    ("ruff format", ["ruff", "format", "--check", "--quiet", "."]),
    ("mypy", ["mypy"]),
    ("import-linter", ["lint-imports"]),
    ("djlint", ["djlint", "--lint", "--quiet", "templates"]),
    ("bandit", ["bandit", "-q", "-ll", "-c", "pyproject.toml", "-r", "panel", "runtime"]),
)
#: Groups of tests: directory, whether it may be spread over processes, deadline in seconds.
GROUPS = (
    ("tests/unit", True, 300),
    ("tests/panel", True, 600),
    ("tests/host", False, 900),
    ("tests/e2e", False, 900),
    ("tests/faults", False, 600),
)


def _prepare() -> dict[str, str]:
    """Everything that tests need; the environment for them."""
    wanted = {**NODE_PACKAGES, **PANEL_PACKAGES, **TEST_PACKAGES}
    installed = install_packages(wanted)
    line(f"packages ({', '.join(installed)})" if installed else "packages")
    if os.geteuid() == 0:
        ensure_user()
    python.ensure(VENV, CHECKOUT / "requirements" / "dev.lock")
    line("Python environment")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("WADAH_", "DJANGO_"))},
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if (CHECKOUT / "panel" / "config" / "vendor.py").exists():
        command = [str(VENV / "bin" / "python"), "-m", "panel.config.vendor"]
        run(command, timeout_s=600, cwd=CHECKOUT, environment=environment)
        line("web files")
    return environment


def run_tests(arguments: list[str]) -> int:
    """With arguments: pytest with just these. Without: all checks and all groups; 0 when all passed."""
    environment = _prepare()
    if arguments:
        return subprocess.run(
            [_tool("pytest"), *arguments], cwd=CHECKOUT, env=environment, check=False
        ).returncode
    failed = [name for name, command in CHECKS if not _check(name, command, environment)]
    for directory, spread, seconds in GROUPS:
        if any((CHECKOUT / directory).rglob("test_*.py")) and not _group(
            directory, spread, seconds, environment
        ):
            failed.append(directory)
    if failed:
        plain(f"failed: {', '.join(failed)}")
        return 1
    plain("all passed")
    return 0


def _tool(name: str) -> str:
    return str(VENV / "bin" / name)


def _check(name: str, command: list[str], environment: dict[str, str]) -> bool:
    if name == "djlint" and not (CHECKOUT / "templates").is_dir():
        return True
    done = subprocess.run(
        [_tool(command[0]), *command[1:]],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    if done.returncode != 0:
        plain(done.stdout.decode(errors="replace")[-8000:])
    line(name, "✓" if done.returncode == 0 else "✗")
    return done.returncode == 0


def _group(directory: str, spread: bool, seconds: int, environment: dict[str, str]) -> bool:
    began = time.monotonic()
    plain(f"── {directory}")
    command = [_tool("pytest"), "-q", directory, *(["-n", "2"] if spread else [])]
    try:
        code = subprocess.run(command, cwd=CHECKOUT, env=environment, timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        plain(f"{directory} did not end within {seconds} s")
        return False
    plain(f"── {directory}: {time.monotonic() - began:.0f} s")
    return code == 0


def run_bench(arguments: list[str]) -> int:
    if not (CHECKOUT / "tests" / "bench").is_dir():
        raise Stop("there are no benchmarks in this checkout")
    environment = _prepare()
    command = [str(VENV / "bin" / "python"), "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode
