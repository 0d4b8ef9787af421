"""Whose turn it is to make a repository: two that make one at once leave one that nobody opens any more.

restic looks whether there is a repository, then writes key and configuration; who makes one in between writes
another key.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtime.backups.left_locked import name_of
from runtime.backups.places import Access
from runtime.node import Node

_LOOK_S = 0.25


@contextmanager
def turn(node: Node, access: Access, go_on: Callable[[], object]) -> Iterator[None]:
    """That of all jobs of this node at one place. `go_on` ends the waiting by raising."""
    directory = node.run / "locks"
    directory.mkdir(mode=0o700, exist_ok=True)
    place = directory / f"repository-{name_of(access)}"
    fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                go_on()
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(fd)
