"""An image to attack from: busybox with the machine's own Python in it, and a way to run a function there.

What a test wants to try inside is an ordinary function of the test file. Its source is sent and run by
root of the environment, under the environment's own confinement, so it imports what it needs itself.
"""

import inspect
import json
import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.console.exec import Outcome, run_command
from runtime.contract import EnvironmentSpec
from runtime.host import btrfs
from runtime.node import Node

IMAGE = "laboratory"
PYTHON = Path("/usr/bin/python3")
_MODULES = ("_ctypes", "_json", "_posixsubprocess", "mmap", "resource", "termios", "fcntl", "_multiprocessing")
_LEFT_OUT = ("test", "idlelib", "tkinter", "ensurepip", "lib2to3", "pydoc_data", "__pycache__", "dist-packages")


def build(node: Node, busybox: str) -> str:
    """A read-only image beside `busybox` that has Python as well."""
    target = node.image(IMAGE)
    btrfs.snapshot(node.image(busybox), target)
    real = PYTHON.resolve()
    version = re.sub(r"^python", "", real.name)
    library = Path("/usr/lib") / f"python{version}"
    shutil.copytree(
        library,
        target / library.relative_to("/"),
        ignore=shutil.ignore_patterns(*_LEFT_OUT, "config-*"),
        symlinks=True,
    )
    (target / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(real, target / "usr/bin/python3")
    needed = [real, *(library / "lib-dynload").glob("*.so")]
    for one in _libraries(needed):
        place = target / one.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one.resolve(), place)
    btrfs.set_readonly(target, True)
    return IMAGE


def _libraries(programs: list[Path]) -> set[Path]:
    """What the loader wants for these, the loader itself included (ldd(1))."""
    said = subprocess.run(["ldd", *programs], check=True, capture_output=True, text=True, timeout=30).stdout
    return {Path(one) for one in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)}


def compiled(source: Path, directory: Path) -> Path:
    """The C file as a static program."""
    program = directory / source.stem
    subprocess.run(["gcc", "-O1", "-w", "-static", "-o", program, source], check=True, timeout=60)
    return program


def outcome_inside(
    node: Node, spec: EnvironmentSpec, function: Callable[..., Any], *arguments: Any, timeout_s: float = 30
) -> Outcome:
    """How the function's process ended: for what kills itself, or is killed."""
    source = textwrap.dedent(inspect.getsource(function))
    text = (
        f"{source}\nimport json\n"
        f"print(json.dumps({function.__name__}(*json.loads({json.dumps(json.dumps(arguments))}))))\n"
    )
    return run_command(
        node, spec.id, ["/usr/bin/python3", "-IS", "-"], stdin=text.encode(), timeout_s=timeout_s
    )


def inside(
    node: Node, spec: EnvironmentSpec, function: Callable[..., Any], *arguments: Any, timeout_s: float = 30
) -> Any:
    """What the function returned in there (through JSON); it must end well."""
    done = outcome_inside(node, spec, function, *arguments, timeout_s=timeout_s)
    assert done.exit_code == 0, f"{done.exit_code}: {done.stderr.decode(errors='replace')[-2000:]}"
    return json.loads(done.stdout)
