"""Programs in parts, which run in a confined container with Python's own library alone."""

import re
from pathlib import Path


def joined(package: Path, parts: tuple[str, ...]) -> str:
    """The parts of the package in that directory one after another, without what they import of each other:
    none of our modules is in there."""
    name = f"runtime.{package.parent.name}.{package.name}"
    of_another = re.compile(rf"^from {re.escape(name)}\.\w+ import (?:\([^)]*\)|[^(\n]*)\n", re.MULTILINE)
    return "\n\n".join(of_another.sub("", (package / f"{part}.py").read_text()) for part in parts)
