"""docs/kinds.md: what users of other systems look for. Each cell is a test that is there, or a reason."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/kinds.md").read_text()
SYSTEMS = ("chroot jail", "FreeBSD jail", "Solaris zone", "OpenVZ", "LXC", "Docker", "DragonFly vkernel")
_NAMED = re.compile(r"`(tests/[\w./]+\.py)::(\w+)`")


def _cells(line: str) -> list[str]:
    return [one.strip() for one in line.strip().strip("|").split("|")]


def _overview() -> dict[str, list[str]]:
    lines = (_cells(line) for line in TEXT.splitlines() if line.startswith("| "))
    return {cells[0]: [one for one in cells[1:] if one] for cells in lines if cells[0] in SYSTEMS}


def _features(system: str) -> list[list[str]]:
    section = TEXT.split(f"\n## {system}\n")[1].split("\n## ")[0]
    return [_cells(line) for line in section.splitlines() if re.match(r"\| \d+ \|", line)]


@cache
def _functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_named_system_has_a_row_and_a_section() -> None:
    assert set(_overview()) == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_feature_is_a_test_that_is_there_or_a_reason(system: str) -> None:
    features, marks = _features(system), _overview()[system]
    assert [int(one[0]) for one in features] == list(range(1, len(marks) + 1))
    for (_number, feature, shown), mark in zip(features, marks, strict=True):
        for file, name in _NAMED.findall(shown):
            assert (ROOT / file).is_file(), file
            assert name in _functions(file), f"{file} has no {name}"
        wanted = "–" if shown.startswith("no: ") else "◐" if shown.startswith("in part: ") else "✓"
        assert mark == wanted, f"{system}: {feature}"
        assert wanted == "–" or _NAMED.search(shown), f"{system}: {feature} names no test"
        assert shown.count("::") == len(_NAMED.findall(shown)), f"{system}: {feature} names a test oddly"
