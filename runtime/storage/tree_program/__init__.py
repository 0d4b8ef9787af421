"""A program in parts, run by `runtime.storage.trees` inside the confined container, with Python's own library
alone: compares two trees, and copies, moves, writes, deletes, searches and packs what is in one.

Whatever is in the trees is hostile, and one of them may change meanwhile. Each part of a path is opened without
following a link; nothing is opened that could wait. What goes wrong nevertheless stays within the container.

    python3 -I -c SOURCE '{"verb": "compare", …}'

Answers in one line of JSON; refusals come as one on stderr, with exit code 3.
"""

import re
from pathlib import Path

_PARTS = (
    *("ground", "comparing", "writing", "packing", "unpacking"),
    *("trash", "arranging", "owning", "finding", "archiving", "uploading", "verbs"),
)
_OF_ANOTHER_PART = re.compile(
    r"^from runtime\.storage\.tree_program\.\w+ import (?:\([^)]*\)|[^(\n]*)\n", re.MULTILINE
)


def source() -> str:
    """Its parts one after another, without what they import of each other: none of our modules is in there."""
    texts = (Path(__file__).with_name(f"{part}.py").read_text() for part in _PARTS)
    return "\n\n".join(_OF_ANOTHER_PART.sub("", text) for text in texts)
