"""Copies programs from one tree into another, with loader, libraries, links and the interpreter of a script.

The other tree is merged: what lies in /bin, /sbin and /lib of the one is in /usr there, as Debian has it today.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from runtime.contract.words import directories
from runtime.errors import RuntimeFault
from runtime.images.directory.elf import needs_of

_MERGED = ("bin", "sbin", "lib", "lib64")
_PROGRAMS = ("usr/bin", "bin", "usr/sbin", "sbin")
#: Of a chain of symbolic links, as path_resolution(7) has it.
_MOST_LINKS = 40


class Copier:
    """`base`: of the node's own making. `tree`: empty at first."""

    def __init__(self, base: Path, tree: Path):
        self.base, self.tree = base, tree
        self._done: set[str] = set()
        for name in _MERGED:
            (tree / "usr" / name).mkdir(parents=True)
            (tree / name).symlink_to(f"usr/{name}")

    def program(self, name: str) -> None:
        """By its name, with what it needs. Raises `RuntimeFault` (`no_program`) when the base has none."""
        for directory in _PROGRAMS:
            if os.path.lexists(self.base / directory / name):
                self.file(f"{directory}/{name}")
                return
        raise RuntimeFault(directories.no_such_program(name), code="no_program", retryable=False)

    def file(self, path: str) -> None:
        """A file of the base, with what it needs, by its path there."""
        path = path.strip("/")
        for _ in range(_MOST_LINKS):
            if path in self._done:
                return
            self._done.add(path)
            source, target = self.base / path, self.tree / _merged(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not source.is_symlink():
                self._plain(source, target)
                return
            to = os.fspath(source.readlink())
            if not os.path.lexists(target) and _merged(_joined(path, to)) != _merged(path):
                target.symlink_to(to)
            path = _joined(path, to)
        raise _lacks(path)

    def directory(self, path: str) -> None:
        """Data: all that is in it, as it is."""
        shutil.copytree(self.base / path, self.tree / _merged(path), symlinks=True, dirs_exist_ok=True)

    def _plain(self, source: Path, target: Path) -> None:
        try:
            mode = source.stat().st_mode
        except OSError as error:
            raise _lacks(str(source.relative_to(self.base))) from error
        if not stat.S_ISREG(mode):
            raise _lacks(str(source.relative_to(self.base)))
        if not target.exists():
            shutil.copyfile(source, target)
            target.chmod(stat.S_IMODE(mode) & 0o755)  # neither set-user-id nor writable for others
        needs = needs_of(source)
        if needs is None:
            self._interpreter(source)
            return
        if needs.loader:
            self.file(needs.loader)
        for library in needs.libraries:
            self.file(self._found(library, source, needs.searched))

    def _interpreter(self, source: Path) -> None:
        with source.open("rb") as file:
            head = file.readline(256)
        if head.startswith(b"#!") and (words := head[2:].split()):
            self.file(os.fsdecode(words[0]))

    def _found(self, library: str, source: Path, searched: tuple[str, ...]) -> str:
        if "/" in library:
            return library
        origin = str(PurePosixPath("/", source.parent.relative_to(self.base)))
        own = [one.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for one in searched]
        for directory in (*own, *self._standard()):
            if os.path.lexists(self.base / directory.strip("/") / library):
                return f"{directory}/{library}"
        raise _lacks(library)

    def _standard(self) -> Iterator[str]:
        """Where a loader of Debian's looks without a cache."""
        for directory in ("lib", "usr/lib", "lib64", "usr/lib64"):
            for entry in sorted((self.base / directory).glob("*-linux-gnu*")):
                yield str(entry.relative_to(self.base))
            yield directory


def _joined(path: str, link: str) -> str:
    """Where a link of this path leads to, within its tree."""
    return os.path.normpath(os.path.join("/", os.path.dirname(path), link)).strip("/")  # noqa: PTH118, PTH120


def _merged(path: str) -> str:
    top = path.strip("/").partition("/")[0]
    return f"usr/{path.strip('/')}" if top in _MERGED else path.strip("/")


def _lacks(what: str) -> RuntimeFault:
    return RuntimeFault(directories.tools_lack(what), code="tools_incomplete")
