"""`test`: installs what tests need, then checks and tests, fast ones first; `bench`: measures."""

import os
import subprocess
import time
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Group:
    """Tests that run in one pytest."""

    directory: str
    deadline_s: int
    is_spread: bool = False
    """Over several processes."""
    database: str = ""

    @property
    def name(self) -> str:
        return f"{self.directory} ({self.database})" if self.database else self.directory


#: Quick ones first.
GROUPS = (
    Group("tests/unit", 300, is_spread=True),
    Group("tests/panel", 600, is_spread=True),
    Group("tests/panel", 600, is_spread=True, database="postgresql"),
    Group("tests/host", 900),
    Group("tests/e2e", 900),
    Group("tests/faults", 600),
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
    for group in GROUPS:
        if any((CHECKOUT / group.directory).rglob("test_*.py")) and not _passes(group, environment):
            failed.append(group.name)
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


def _passes(group: Group, environment: dict[str, str]) -> bool:
    began = time.monotonic()
    plain(f"── {group.name}")
    command = [_tool("pytest"), "-q", group.directory, *(["-n", "2"] if group.is_spread else [])]
    more = {"TEST_DATABASE": group.database} if group.database else {}
    try:
        code = subprocess.run(
            command, cwd=CHECKOUT, env={**environment, **more}, timeout=group.deadline_s, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        plain(f"{group.name} did not end within {group.deadline_s} s")
        return False
    plain(f"── {group.name}: {time.monotonic() - began:.0f} s")
    return code == 0


def run_bench(arguments: list[str]) -> int:
    if not (CHECKOUT / "tests" / "bench").is_dir():
        raise Stop("there are no benchmarks in this checkout")
    environment = _prepare()
    command = [str(VENV / "bin" / "python"), "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode
