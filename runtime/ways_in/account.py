"""Root's account in a tree, as passwd(5), shadow(5) and group(5) have it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from runtime.contract.said import NOTHING, Said
from runtime.contract.words import ways
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree

_BYTES = 1024 * 1024
_NO_LOGIN = frozenset(("nologin", "false"))
_LONGEST = 200
#: Each is held against each pattern of sshd's.
_MOST_GROUPS = 64


@dataclass(frozen=True)
class Root:
    home: str
    shell: str
    password: str
    """A hash, or what stands in its place."""
    groups: frozenset[str]

    @property
    def has_password(self) -> bool:
        return self.password.startswith("$") or (len(self.password) == 13 and self.password.isascii())

    @property
    def is_locked(self) -> bool:
        """As sshd and dropbear see it; `*` is no password, and no lock."""
        return self.password.startswith("!")


def root_of(tree: SafeTree) -> Root | None:
    """None where no line of /etc/passwd begins with its name."""
    line = next((one for one in _lines(tree, "/etc/passwd") if one[0] == "root" and len(one) >= 7), None)
    if line is None:
        return None
    shadow = next((one for one in _lines(tree, "/etc/shadow") if one[0] == "root" and len(one) >= 2), None)
    found = (
        one[0]
        for one in _lines(tree, "/etc/group")
        if len(one) >= 4 and (one[2] == line[3] or "root" in one[3].split(","))
    )
    groups = frozenset(islice(found, _MOST_GROUPS))
    password = shadow[1] if shadow is not None and line[1] == "x" else line[1]
    return Root(_place(line[5], "/root"), _place(line[6], "/bin/sh"), password, groups)


def refusal(tree: SafeTree, root: Root) -> Said:
    """What keeps it out whatever it has to show; nothing when nothing does."""
    if root.shell.rpartition("/")[2] in _NO_LOGIN:
        return ways.shell_refuses(root.shell)
    seen = tree.seen(root.shell)
    return NOTHING if seen is not None and seen.st_mode & 0o100 else ways.no_shell(root.shell)


def _lines(tree: SafeTree, path: str) -> Iterator[list[str]]:
    data = None
    with suppress(RuntimeFault):  # a directory, a fifo, too large, …
        data = tree.read(path, _BYTES)
    return (line.split(":") for line in (data or b"").decode(errors="replace").splitlines())


def _place(text: str, default: str) -> str:
    is_path = text.startswith("/") and text.isprintable() and ".." not in text.split("/")
    return text[:_LONGEST] if is_path and text.strip("/") else default
