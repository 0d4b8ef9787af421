"""Disks without room."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def full_disk(directory: Path) -> Iterator[None]:
    """Not a byte is left where `directory` lies, until the end."""
    ballast = directory / "ballast"
    fd = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (2**20, 4096):
            try:
                while os.write(fd, bytes(size)):
                    pass
            except OSError:
                continue
        yield
    finally:
        os.close(fd)
        ballast.unlink()
