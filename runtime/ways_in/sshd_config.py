"""sshd_config: what OpenSSH's server does with root, as sshd_config(5) reads its file.

The file is its owner's: what can't be read is passed over, and no more of it is read than a person would write.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree

PLACE = "/etc/ssh/sshd_config"
#: Of all its files together: threads of others wait while they are read.
_MOST_BYTES, _MOST_FILES, _DEEPEST = 64 * 1024, 64, 16
#: Patterns, addresses and names that one keyword has.
_MOST_WORDS = 1024
#: Keywords whose lines add up; of all others the first one counts.
_LISTS = frozenset(("allowusers", "denyusers", "allowgroups", "denygroups", "port", "listenaddress"))
_LINE = re.compile(r"^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)$")


@dataclass
class Settings:
    """Words by keyword, small letters."""

    of_all: dict[str, list[str]] = field(default_factory=dict)
    of_root: dict[str, list[str]] = field(default_factory=dict)
    """From `Match` blocks that speak of root wherever he comes from: they go before."""

    def words(self, keyword: str, default: str = "") -> list[str]:
        return self.of_root.get(keyword) or self.of_all.get(keyword) or default.split()

    def word(self, keyword: str, default: str) -> str:
        return self.words(keyword, default)[0].lower()


class _Reader:
    def __init__(self, tree: SafeTree, groups: frozenset[str]):
        self._tree, self._groups, self._files, self._left = tree, groups, 0, _MOST_BYTES
        self.settings = Settings()

    def read(self, path: str, depth: int = 0, *, is_matched: bool | None = None) -> None:
        """`is_matched`: by the `Match` block that the file is included in; None outside of any."""
        self._files += 1
        if self._files > _MOST_FILES or depth > _DEEPEST:
            return
        data = None
        with suppress(RuntimeFault):
            data = self._tree.read(path, self._left)
        self._left -= len(data or b"")
        for keyword, words in _lines((data or b"").decode(errors="replace")):
            if keyword == "match":
                is_matched = self._speaks_of_root(words)
            elif keyword == "include" and is_matched is not False:
                for one in self._included(words):
                    self.read(one, depth + 1, is_matched=is_matched)
            elif is_matched is not False:
                self._take(self.settings.of_root if is_matched else self.settings.of_all, keyword, words)

    @staticmethod
    def _take(into: dict[str, list[str]], keyword: str, words: list[str]) -> None:
        if keyword in _LISTS:
            had = into.setdefault(keyword, [])
            had.extend(words[: _MOST_WORDS - len(had)])
        else:
            into.setdefault(keyword, words[:_MOST_WORDS])

    def _speaks_of_root(self, words: list[str]) -> bool:
        """False as well where it depends on whence he comes."""
        rest = iter(words)
        for criterion in rest:
            kind = criterion.lower()
            if kind == "all":
                continue
            patterns = next(rest, "").split(",")[:_MOST_WORDS]
            if kind == "user" and listed(patterns, {"root"}):
                continue
            if kind == "group" and listed(patterns, self._groups):
                continue
            return False
        return bool(words)

    def _included(self, words: list[str]) -> Iterator[str]:
        for word in words:
            self._files += 1
            if self._files > _MOST_FILES:
                return
            path = PurePosixPath("/etc/ssh", word)  # an absolute one stays as it is
            names = self._tree.names(str(path.parent), _MOST_FILES)
            for name in names:
                if fnmatchcase(name, path.name) and not (name.startswith(".") and path.name[0] in "*?["):
                    yield str(path.parent / name)


def read(tree: SafeTree, groups: frozenset[str]) -> Settings:
    """`groups`: those that root is in."""
    reader = _Reader(tree, groups)
    reader.read(PLACE)
    return reader.settings


def listed(patterns: list[str], names: set[str] | frozenset[str]) -> bool:
    """Whether a pattern-list of ssh_config(5) takes one of the names: one after `!` refuses it."""
    found = False
    for pattern in patterns:
        negated, plain = pattern.startswith("!"), pattern.removeprefix("!")
        if any(_matches(plain, name) for name in names):
            if negated:
                return False
            found = True
    return found


def _matches(pattern: str, name: str) -> bool:
    """With `*` and `?` alone."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None or line.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(found[2], comments=True)
        except ValueError:  # sshd wouldn't start with it; the rest of the file is read all the same
            continue
        if words:
            yield found[1].lower(), words
