"""Runs a command inside an environment, as the panel's exec does."""

from runtime.console.exec import run_command
from runtime.contract import EnvironmentSpec
from runtime.node import Node


def sh(node: Node, spec: EnvironmentSpec, script: str, *, timeout_s: float = 20) -> str:
    """stdout of a shell script that must succeed."""
    outcome = run_command(node, spec.id, ["/bin/sh", "-c", script], timeout_s=timeout_s)
    assert outcome.exit_code == 0, f"{outcome.exit_code}: {outcome.stderr.decode()} {outcome.stdout.decode()}"
    return outcome.stdout.decode().strip()


def attempt(node: Node, spec: EnvironmentSpec, script: str, *, timeout_s: float = 20) -> tuple[int, str]:
    """Exit code and all output of a shell script that may fail."""
    outcome = run_command(node, spec.id, ["/bin/sh", "-c", script], timeout_s=timeout_s)
    return outcome.exit_code, (outcome.stdout + outcome.stderr).decode(errors="replace").strip()
