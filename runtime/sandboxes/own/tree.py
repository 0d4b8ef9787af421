"""The tree of an own kernel: all that runs in its container and, shown to the guest, what its agent is made of.

Made of the node's own packages, once for each of their versions, and shown read-only; nothing of it belongs to
an environment.
"""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from runtime.contract.said import Said
from runtime.contract.words import kernels
from runtime.errors import RuntimeFault
from runtime.host.command import run
from runtime.node import Node
from runtime.sandboxes import trees
from runtime.sandboxes.own.inside.launch import AGAIN, DISK_SERVER, EXIT_AGAIN, KERNEL

INSIDE = Path(__file__).parent / "inside"
MODULES, BUSYBOX, IP = Path("/usr/lib/uml/modules"), Path("/bin/busybox"), Path("/sbin/ip")
#: Said by what a probe runs in the place of an init.
PROBE_WORD = "wadah-is-up"
NAME = "own-kernel"
_EMPTY = ("proc", "dev", "sys", "run", "mem", "disk", "new", "tmp", "lib/modules")
#: What the programs inside import of the standard library.
_IMPORTS = """
    argparse array collections.abc contextlib ctypes encodings.idna encodings.latin_1 enum errno fcntl json math
    os pathlib resource selectors signal socket struct subprocess sys termios time tty types typing
""".split()
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
PYTHON = "/bin/python3"
_PACKAGES = {
    Path(KERNEL): "user-mode-linux",
    Path(DISK_SERVER): "qemu-system-common",
    BUSYBOX: "busybox-static",
}


def unavailable() -> Said | None:
    """Which packages this host lacks; None when it has all."""
    lacking = [package for file, package in _PACKAGES.items() if not file.exists()]
    return kernels.lacks_packages(" ".join(lacking)) if lacking else None


def release() -> str:
    """Of the kernel that is installed; empty without one."""
    found = sorted(entry.name for entry in MODULES.iterdir()) if MODULES.is_dir() else []
    return found[-1] if found else ""


def point(node: Node) -> Path:
    """Where it is shown, in the node's mount namespace."""
    return trees.point(node, NAME)


def show(node: Node) -> bool:
    """As `trees.show`."""
    texts = [one.read_text() for one in (*sorted(INSIDE.glob("*.py")), Path(__file__))]
    return trees.show(node, NAME, trees.mark_of((*_PACKAGES, _python()), texts), make)


def _python() -> Path:
    return Path(os.path.realpath(sys.executable))


def make(new: Path) -> None:
    """Raises `RuntimeFault`."""
    for name in ("bin", "sbin", "lib", "usr/bin", "usr/lib", "wadah", *_EMPTY):
        (new / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    for file in (Path(KERNEL), Path(DISK_SERVER), BUSYBOX, IP):
        trees.copy(file, new / file.relative_to("/"))
    trees.copy(_python(), new / PYTHON.lstrip("/"))
    for file in _modules_of_python():
        trees.copy(file, new / "python" / file.relative_to(_prefix()))
    objects = [
        one for one in new.rglob("*") if one.is_file() and (one.suffix == ".so" or os.access(one, os.X_OK))
    ]
    for library in sorted(_libraries(objects)):
        trees.copy(library, new / library.relative_to("/"))
    probe = new / "wadah" / "probe"
    probe.write_text(f"#!{BUSYBOX} sh\necho {PROBE_WORD}\n{BUSYBOX} poweroff -f\n")
    probe.chmod(0o755)
    again = new / AGAIN.lstrip("/")
    again.write_text(f"#!{BUSYBOX} sh\nexit {EXIT_AGAIN}\n")
    again.chmod(0o755)
    _copy_ours(new / "wadah")


def _copy_ours(target: Path) -> None:
    """The programs inside, by the names that they import each other by."""
    package = target / "runtime" / "sandboxes" / "own" / "inside"
    package.mkdir(mode=0o755, parents=True)
    for file in INSIDE.glob("*.py"):
        trees.copy(file, package / file.name)
    for parent in (package.parent, package.parent.parent, package.parent.parent.parent):
        (parent / "__init__.py").write_text("")


def _prefix() -> Path:
    return Path(sys.base_prefix)


def _modules_of_python() -> set[Path]:
    """Files of the standard library that the programs inside load; its own words tell."""
    code = f"import {', '.join(_IMPORTS)}\nfor one in list(sys.modules.values()):\n"
    code += "    if getattr(one, '__file__', None):\n        print(one.__file__)"
    said = run([_python(), "-S", "-E", "-B", "-c", code], timeout_s=30).stdout.decode().splitlines()
    found = {Path(one) for one in said}
    found |= {one for one in found.copy() for one in one.parent.glob("__init__.py")}
    inside = {one for one in found if one.is_relative_to(_prefix())}
    if not inside:
        raise RuntimeFault(kernels.no_python(), code="host_lacks")
    return inside


def _libraries(objects: Iterable[Path]) -> set[Path]:
    """That these need, with the loader; of a static program none."""
    found: set[Path] = set()
    for one in objects:
        said = run(["ldd", one], timeout_s=20, check=False).stdout.decode()
        found |= {Path(path) for path in _LIBRARY.findall(said)}
    return found
