"""What an image has at /sbin/init, and which signal shuts that down."""

import signal
from pathlib import Path

from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree

#: systemd(1)
SYSTEMD_HALTS_AT = "SIGRTMIN+3"
#: busybox init.c
BUSYBOX_HALTS_AT = "SIGUSR2"
#: Of an init that may be anything; what runs is asked what it listens to (`runtime/resources/halting.py`).
OTHERS_HALT_AT = "SIGTERM"

#: What is run.
INIT = "/sbin/init"
_PLACES = (INIT, "/usr/sbin/init")
_SCRIPT_BYTES = 64 * 1024


def init_of(root: Path) -> tuple[list[str], str]:
    """Command of the image's init and the signal that shuts it down, wherever its links lead inside."""
    with SafeTree.open(root) as tree:
        return [INIT], halts_at(tree)


def halts_at(tree: SafeTree) -> str:
    """The signal that shuts the tree's init down."""
    for place in _PLACES:
        name = tree.leads_to(place)
        if name is None:
            continue
        words = {name, *_script(tree, place)}
        if "systemd" in words:
            return SYSTEMD_HALTS_AT
        if "busybox" in words:
            return BUSYBOX_HALTS_AT
        break
    return OTHERS_HALT_AT


def _script(tree: SafeTree, place: str) -> set[str]:
    """Last names of all that a script mentions; none of a program."""
    try:
        text = tree.read(place, _SCRIPT_BYTES) or b""
    except RuntimeFault:  # larger than any script, has several names, …
        return set()
    if not text.startswith(b"#!"):
        return set()
    return {word.rpartition("/")[2].strip("\"';") for word in text.decode(errors="replace").split()}


def signal_number(name: str) -> int:
    """`SIGTERM`, `TERM`, `SIGRTMIN+3` or a number; ValueError for anything else."""
    text = name.strip().upper().removeprefix("SIG")
    if text.isdigit():
        return int(text)
    if text.startswith("RTMIN"):
        return int(signal.SIGRTMIN) + int(text[5:] or 0)
    try:
        return int(signal.Signals[f"SIG{text}"])
    except KeyError as unknown:
        raise ValueError(f"{name} is no signal") from unknown
