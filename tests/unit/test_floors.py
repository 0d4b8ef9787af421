"""The panel's floors: what import-linter can't see (imports within functions, whole packages) is seen here.

The order of the floors itself is a contract in pyproject.toml, held by `./wadah check`.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PANEL = Path(__file__).parents[2] / "panel"

#: Functions that import from the panel, and why they can't do it at the top of their module.
ALLOWED = {
    # Django loads the class of sessions, and allauth its adapters, before models are there
    ("panel/accounts/sessions.py", "panel.accounts.guesses"),
    ("panel/accounts/adapter.py", "panel.accounts.signed_in"),
    ("panel/accounts/adapter.py", "panel.accounts.single_sign_on"),
}


@cache
def _sources() -> list[tuple[str, ast.Module]]:
    return [
        (str(path.relative_to(PANEL.parent)), ast.parse(path.read_text()))
        for path in sorted(PANEL.rglob("*.py"))
        if "migrations" not in path.parts
    ]


def _imports(tree: ast.AST, *, within: bool = False) -> Iterator[tuple[str, bool]]:
    """Modules of the panel that are imported, for types alone too, and whether within a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "panel":
            yield from ((f"panel.{one.name}", within) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("panel."):
            yield node.module or "", within
        elif isinstance(node, ast.Import):
            yield from ((one.name, within) for one in node.names if one.name.startswith("panel."))
        yield from _imports(node, within=within or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_no_function_imports_to_get_round_a_circle() -> None:
    """`ready()` of an app may: Django calls it once models are there, and there apps plug into one another."""
    found = {
        (path, module)
        for path, tree in _sources()
        for module, within in _imports(tree)
        if within and not path.endswith("/apps.py")
    }
    assert found == ALLOWED


def test_packages_form_no_circle() -> None:
    below: dict[str, set[str]] = {}
    for path, tree in _sources():
        package = path.split("/")[1].removesuffix(".py")
        imported = {module.split(".")[1] for module, _ in _imports(tree)}
        below.setdefault(package, set()).update(imported - {package})
    try:
        order = list(TopologicalSorter(below).static_order())
    except CycleError as circle:
        pytest.fail(f"these import one another: {circle.args[1]}")
    assert order.index("environments") < order.index("networks")


def test_modules_form_no_circle() -> None:
    """Within a package neither, and not by what types alone need."""
    sources = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree for path, tree in _sources()
    }
    below = {
        name: {
            whole if (whole := f"{module}.{one.name}") in sources else module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (module := node.module or "").startswith("panel")
            for one in node.names
        }
        for name, tree in sources.items()
    }
    try:
        TopologicalSorter(below).prepare()
    except CycleError as circle:
        pytest.fail(f"these import one another: {circle.args[1]}")


def test_environments_know_no_feature() -> None:
    features = {"networks", "console", "metering", "people", "tenancy", "offers", "fleet", "live", "frame"}
    found = {
        (path, module)
        for path, tree in _sources()
        if path.startswith("panel/environments/")
        for module, _ in _imports(tree)
        if module.split(".")[1] in features
    }
    assert not found


def test_no_test_is_a_library_for_others() -> None:
    """What several tests need stands in `support`: who changes a test changes no other's ground."""
    found = {
        (str(path.relative_to(PANEL.parent)), node.module)
        for path in sorted((PANEL.parent / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2].startswith("test_")
    }
    assert not found


@pytest.mark.parametrize(
    ("registry", "fills"), [("environments.features.Feature", "plugs_in("), ("jobs.kinds", "done_by_job(")]
)
def test_the_table_of_registries_names_who_fills_them(registry: str, fills: str) -> None:
    table = (PANEL.parent / "docs/architecture.md").read_text()
    row = next(one for one in table.splitlines() if one.startswith(f"| `{registry}` |"))
    named = set(re.findall(r"`(\w+)`", row.split("|")[2]))
    assert named == {one.parent.name for one in PANEL.glob("*/apps.py") if fills in one.read_text()}
