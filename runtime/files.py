"""Files of a node that are whole whatever happens, and locks by files."""

import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.node import Node


def is_full(error: OSError) -> bool:
    """Of blocks, inodes, or what a quota allows."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def replace_file(path: Path, text: str, *, durable: bool = False) -> None:
    """Writes by rename: a reader, and whoever comes after a crash, finds the old text or the new one.

    `durable`: after a power loss too; costs a write to the disk.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_native_id()}.new")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, text.encode())
            if durable:
                os.fdatasync(fd)
        finally:
            os.close(fd)
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_all(fd: int, content: bytes) -> None:
    """A disk that gets full takes a part first and refuses the rest."""
    while content:
        content = content[os.write(fd, content) :]


def documents(text: str) -> Iterator[dict[str, object]]:
    """The lines of JSON that are whole; a crash may have cut the last one, a full disk any."""
    for line in text.splitlines():
        with suppress(ValueError):
            document = json.loads(line)
            if isinstance(document, dict):
                yield document


@contextmanager
def exclusive(node: Node, name: str) -> Iterator[None]:
    """Waits until no other process of this node does what `name` stands for."""
    directory = node.run / "locks"
    directory.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
