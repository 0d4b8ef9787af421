"""Programs that run in a confined container are one text of their parts, and have nothing of ours."""

import ast
import json
import subprocess
import sys

import pytest

from runtime.backups import inside
from runtime.storage import tree_program

SOURCES = pytest.mark.parametrize(
    "source", [tree_program.source(), inside.source()], ids=["trees", "repositories"]
)


def _run(source: str, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", "-c", source, *words]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=60, cwd="/", check=False
    )


@SOURCES
def test_no_part_imports_another_in_there(source: str) -> None:
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_trees_answer_a_refusal_by_its_code() -> None:
    done = _run(tree_program.source(), '{"verb": "pack", "path": "L25vbmU="}')  # there is no /before
    assert (done.returncode, done.stdout, done.stderr) == (3, "", '{"refused": "not_found"}')


def test_what_a_repository_is_not_asked_is_refused() -> None:
    done = _run(inside.source(), given=json.dumps({"task": "burn", "files": {}}))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"refused": ["tool_refused", "KeyError: 'burn'"]})


@SOURCES
def test_no_two_parts_have_a_name_in_common(source: str) -> None:
    """They become one text: the later would take the place of the earlier, without a word."""
    body = ast.parse(source).body
    own = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    own += [
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert sorted(own) == sorted(set(own))
