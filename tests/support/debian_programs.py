"""Programs of this machine as a layer of an image: each with the libraries that it is loaded with."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.support.registry import Entry, file, folder


def layer_of(programs: Iterable[Path], trees: Iterable[Path] = (), at: str = "usr/bin") -> list[Entry]:
    """The programs at `at`, and whole directories where they lie here."""
    found: dict[str, Entry] = {}
    for program in programs:
        name = f"{at}/{program.name}"
        found[name] = file(name, program.read_bytes(), mode=0o755)
        _add_libraries(found, program)
    for tree in trees:
        for path in sorted(tree.rglob("*")):
            name = str(path).lstrip("/")
            if path.is_file():
                found[name] = file(name, path.read_bytes(), mode=path.stat().st_mode & 0o777)
                if path.suffix == ".so":
                    _add_libraries(found, path)
    above = {str(one) for name in found for one in Path(name).parents if str(one) != "."}
    return [*(folder(one) for one in sorted(above)), *found.values()]


def _add_libraries(found: dict[str, Entry], program: Path) -> None:
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, timeout=60, check=True).stdout
    for place in re.findall(r"(/\S+) \(0x", said):
        name = place.lstrip("/")
        found.setdefault(name, file(name, Path(os.path.realpath(place)).read_bytes(), mode=0o755))
