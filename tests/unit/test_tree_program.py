"""The program of `runtime.storage.tree_program` is one text of its parts, and runs with nothing of ours."""

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
