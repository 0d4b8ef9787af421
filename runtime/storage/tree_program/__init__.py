"""A program in parts, run by `runtime.storage.trees` inside the confined container, with Python's own library
alone: compares two trees, and copies, moves, writes, deletes, searches and packs what is in one.

Whatever is in the trees is hostile, and one of them may change meanwhile. Each part of a path is opened without
following a link; nothing is opened that could wait. What goes wrong nevertheless stays within the container.

    python3 -I -c SOURCE '{"verb": "compare", …}'

Answers in one line of JSON; refusals come as one on stderr, with exit code 3.
"""

from pathlib import Path

from runtime.program import joined

_PARTS = (
    *("ground", "comparing", "writing", "packing", "unpacking"),
    *("trash", "arranging", "owning", "finding", "archiving", "uploading", "verbs"),
)


def source() -> str:
    return joined(Path(__file__).parent, _PARTS)
