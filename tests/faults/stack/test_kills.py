"""Whatever is killed, whenever: what was asked for is done once, nothing leaks, nothing is stuck."""

from collections.abc import Iterator

import pytest

from tests.faults.support.chaos import ROLES, STEPS, Chaos
from tests.faults.support.stack import Stack


@pytest.fixture(scope="module")
def chaos(whole: Stack) -> Iterator[Chaos]:
    made = Chaos(whole, seed=20261124)
    yield made
    made.close()


def _survives(chaos: Chaos, operation: str, fault: str) -> None:
    outcome = chaos.run(operation, fault)
    assert outcome.wrong == []
    assert outcome.state == "succeeded", outcome


@pytest.mark.parametrize(
    ("operation", "when", "step"),
    [
        (("create", "reinstall", "delete", "restart")[number % 4], ("before", "after")[number // 4 % 2], step)
        for number, step in enumerate(STEPS)
    ],
)
def test_a_node_s_process_killed_at_a_step(chaos: Chaos, operation: str, when: str, step: str) -> None:
    """Each step once, from the panel's side; every boundary of every operation is the node's own test."""
    _survives(chaos, operation, f"step {when} {step}")


@pytest.mark.parametrize("role", ROLES)
def test_a_process_killed_at_any_moment(chaos: Chaos, role: str) -> None:
    operation = {"node-slow": "stop", "agent": "restart", "ws": "resize", "beat": "delete"}.get(role, "create")
    _survives(chaos, operation, f"kill {role}")


@pytest.mark.parametrize("role", ["node-worker", "panel-worker", "web"])
def test_a_pool_process_killed_at_any_moment(chaos: Chaos, role: str) -> None:
    _survives(chaos, "reinstall", f"kill {role} child")


def test_a_console_monitor_killed_at_any_moment(chaos: Chaos) -> None:
    _survives(chaos, "resize", "kill conmon")
