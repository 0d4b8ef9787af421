"""`./wadah test PATH` installs what that path needs: packages of a node for those who work on one."""

import pytest

from runtime.install.testing import by_name, needs_node, needs_panel


@pytest.mark.parametrize(
    ("arguments", "node", "panel"),
    [
        ([], True, True),
        (["-k", "quota"], True, True),
        (["tests/unit/test_clock.py"], False, False),
        (["-x", "./tests/unit/test_clock.py::test_it"], False, False),
        (["tests/panel/environments", "-n", "2"], False, True),
        (["tests/unit", "tests/panel"], False, True),
        (["tests/unit/../host"], True, True),
        (["tests/panel", "tests/host/console"], True, True),
        (["tests"], True, True),
    ],
)
def test_by_its_path(arguments: list[str], node: bool, panel: bool) -> None:
    assert (needs_node(arguments), needs_panel(arguments)) == (node, panel)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["fresh"], ["tests/fresh"]),
        (["packages", "-k", "docker"], ["tests/packages", "-k", "docker"]),
        (["host", "-k", "unit"], ["tests/host", "-k", "unit"]),
        (["tests/unit/test_clock.py"], ["tests/unit/test_clock.py"]),
        (["-k", "host"], ["-k", "host"]),
        ([], []),
    ],
)
def test_a_group_by_its_name(said: list[str], meant: list[str]) -> None:
    assert by_name(said) == meant
