"""Whether a kernel starts on this host at all: tried once for each of its versions and each kernel of the host,
and noted down."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from runtime.contract.said import Said
from runtime.contract.words import kernels
from runtime.node import Node

DEADLINE_S = 20.0
#: What a trial found: `{"start_ms", "why"}`, one of them None.
Found = dict[str, Any]


class Trial:
    """`of`: what it was tried with, empty where that can't be told; another one is tried anew."""

    def __init__(self, node: Node, name: str, of: Callable[[], str]):
        self._note = node.root / "kernels" / f"{name}.json"
        self._with = of

    def run_once(self, tried: Callable[[], Found]) -> bool:
        """False when what came of it is known already."""
        if self._known() is not None:
            return False
        found = tried()
        self._note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._note.with_suffix(".new")
        new.write_text(json.dumps({"of": self._of(), **found}))
        new.rename(self._note)
        return True

    def refused(self) -> Said | None:
        """Why it doesn't start; None when it did."""
        known = self._known()
        if known is None:
            return kernels.not_tried()
        return None if known["start_ms"] is not None else kernels.did_not_start(str(known["why"]))

    def start_ms(self) -> float | None:
        """From its program's start to its first process."""
        known = self._known()
        return None if known is None else known["start_ms"]

    def _of(self) -> str:
        with suppress(OSError):
            return f"{self._with()} {os.uname().release}"
        return ""

    def _known(self) -> Found | None:
        with suppress(OSError, ValueError):
            seen = self._note.stat()
            found = _read(str(self._note), seen.st_mtime_ns, seen.st_ino)
            return found if found["of"] == self._of() else None
        return None


@lru_cache(maxsize=8)
def _read(file: str, _changed: int, _inode: int) -> Found:
    found: Found = json.loads(Path(file).read_text())
    return found


def came_of(output: bytes, word: str, took_ms: float) -> Found:
    """Of a program that says this word when it is up."""
    lines = output.decode(errors="replace").strip().splitlines()
    if any(word in one for one in lines):
        return {"start_ms": round(took_ms), "why": None}
    return {"start_ms": None, "why": "".join(c for c in (lines or ["?"])[-1] if c.isprintable())[:200]}
