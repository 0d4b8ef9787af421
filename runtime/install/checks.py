"""`check`: what can be told of the code without running it; `--fix` mends what a program can mend."""

import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runtime.install.layout import CHECKOUT
from runtime.install.output import line, plain

#: Seconds; mypy without anything kept takes 35 on two cores.
DEADLINE_S = 600


@dataclass(frozen=True)
class Check:
    """One program that looks at the checkout, and the one that mends what it finds (empty: a person does)."""

    name: str
    command: tuple[str, ...]
    fix: tuple[str, ...] = ()
    needs: str = ""
    """A program that may be missing; the check is then left out, and says so."""


_MIGRATIONS = ("python", "-m", "django", "makemigrations", "--settings", "panel.config.settings_for_types")

#: The longest first: two run at a time.
CHECKS = (
    Check("mypy", ("mypy",)),
    Check("ruff", ("ruff", "check", "--quiet", "."), ("ruff", "check", "--quiet", "--fix", ".")),
    Check("ruff format", ("ruff", "format", "--check", "--quiet", "."), ("ruff", "format", "--quiet", ".")),
    Check("import-linter", ("lint-imports",)),
    Check("djlint", ("djlint", "--lint", "--quiet", "templates")),
    Check(
        "templates",
        ("djlint", "--reformat", "--check", "--quiet", "templates"),
        ("djlint", "--reformat", "--quiet", "templates"),
    ),
    Check("bandit", ("bandit", "-q", "-ll", "-c", "pyproject.toml", "-r", "panel", "runtime")),
    Check("migrations", (*_MIGRATIONS, "--check", "--dry-run"), _MIGRATIONS),
    Check(
        "OpenAPI",
        ("python", "-m", "django", "api_document", "--settings", "panel.config.settings_for_types"),
    ),
    Check("shellcheck", ("shellcheck", "--severity=warning", "SCRIPTS"), needs="shellcheck"),
)


def run_checks(environment: Mapping[str, str], *, fix: bool = False) -> dict[str, bool]:
    """Whether each check passed, by name, each said on a line. With `fix` the menders run before."""
    if fix:
        for check in CHECKS:
            if check.fix:
                _run(check.fix, environment)
    with ThreadPoolExecutor(2) as side_by_side:
        running = [(check, side_by_side.submit(_passes, check, environment)) for check in CHECKS]
        return {check.name: job.result() for check, job in running}


def _passes(check: Check, environment: Mapping[str, str]) -> bool:
    if check.needs and shutil.which(check.needs, path=environment.get("PATH")) is None:
        line(f"{check.name}: left out, {check.needs} isn't installed (apt-get install {check.needs})", "-")
        return True
    code, said = _run(check.command, environment)
    if code != 0:
        plain(said[-8000:])
    line(check.name, "✓" if code == 0 else "✗")
    return code == 0


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit code and output; a program that doesn't end within the deadline has failed."""
    words = [one for word in command for one in (shell_scripts() if word == "SCRIPTS" else [word])]
    words[0] = shutil.which(words[0], path=environment.get("PATH")) or words[0]
    try:
        done = subprocess.run(
            words,
            cwd=CHECKOUT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout.decode(errors="replace")


def shell_scripts() -> list[str]:
    """Scripts of ours, by their first line; the known ones where the checkout has no git."""
    listed = subprocess.run(
        ["git", "grep", "-lE", "^#!.*(/sh|bash)$"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return listed.stdout.split() or ["wadah", ".ci/run", "docker/engine", "docker/install", "docker/node"]
