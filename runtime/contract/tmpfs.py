"""A file system in memory as `docker run --tmpfs` writes it: `/path:size=64m,mode=755,uid=7,noexec`.

What it holds counts as memory of its app; without a size it has half of it (tmpfs(5)).
"""

import re
from dataclasses import dataclass

from runtime.contract.words import asked

#: Every one has them: nothing in it gives rights, or is a device.
ALWAYS = ("nosuid", "nodev")
_SWITCHES = frozenset(("rw", "ro", "exec", "noexec", *ALWAYS))
_VALUES = {
    "size": re.compile(r"[1-9][0-9]{0,14}[kKmMgG]?|[1-9][0-9]?%|100%"),
    "nr_inodes": re.compile(r"[1-9][0-9]{0,8}[kKmM]?"),
    "mode": re.compile(r"[01]?[0-7]{3}"),
    "uid": re.compile(r"[0-9]{1,5}"),
    "gid": re.compile(r"[0-9]{1,5}"),
}
_HIGHEST_ID = 65_535


@dataclass(frozen=True, slots=True)
class Tmpfs:
    path: str
    options: tuple[str, ...]
    """Of mount(8), without those that every one has."""

    @classmethod
    def parse(cls, text: str) -> "Tmpfs":
        """Raises ValueError, whose text is a sentence for people."""
        path, colon, written = text.partition(":")
        parts = path.split("/")[1:]
        is_plain = (
            path.startswith("/")
            and path.isprintable()  # a list of them has each on its line
            and not any(part in ("", ".", "..") for part in parts)
            and "," not in path
        )
        if not is_plain or parts[0] in ("proc", "sys", "dev"):
            raise ValueError(asked.odd_tmpfs())
        options = tuple(written.split(",")) if colon else ()
        for one in options:
            _check(one)
        return cls(path, tuple(one for one in options if one not in ALWAYS))

    @property
    def mount_options(self) -> list[str]:
        """With what it has where nobody says: everybody may write in it."""
        has_mode = any(one.startswith("mode=") for one in self.options)
        return [*ALWAYS, *(() if has_mode else ("mode=1777",)), *self.options]


def _check(option: str) -> None:
    name, _, value = option.partition("=")
    known = _VALUES.get(name)
    is_so = option in _SWITCHES if known is None else known.fullmatch(value) is not None
    if not is_so or (name in ("uid", "gid") and int(value) > _HIGHEST_ID):
        raise ValueError(asked.odd_tmpfs_option())
