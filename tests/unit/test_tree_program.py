"""The program of `runtime.storage.tree_program` is one text of its parts, and runs with nothing of ours."""

import ast
import subprocess
import sys

from runtime.storage import tree_program


def _run(asked: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", "-S", "-c", tree_program.source(), asked]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/", check=False)


def test_no_part_imports_another_in_there() -> None:
    assert "runtime.storage.tree_program" not in tree_program.source()


def test_it_answers_a_refusal_by_its_code() -> None:
    done = _run('{"verb": "pack", "path": "L25vbmU="}')  # there is no /before
    assert (done.returncode, done.stdout, done.stderr) == (3, "", '{"refused": "not_found"}')


def test_no_two_parts_have_a_name_in_common() -> None:
    """They become one text: the later would take the place of the earlier, without a word."""
    own = [
        node.name
        for node in ast.parse(tree_program.source()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    own += [
        target.id
        for node in ast.parse(tree_program.source()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert sorted(own) == sorted(set(own))
