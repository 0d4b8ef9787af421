"""The disk of a node that breaks: what was on it is gone, and the node has an empty one in its place."""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.host import libc
from runtime.known import known_environments
from runtime.node import Node
from runtime.prepare import enter, prepare
from runtime.sandboxes import sandbox_of


@contextmanager
def another_pool(home: Path) -> Iterator[None]:
    """The pool of a node that runs is pulled from under it, and it gets a new, empty one. Afterwards it has its
    own again, with all that was there."""
    node = Node.load(home)
    broken = node.pool_file.with_suffix(".broken")
    _exchange(node, lambda: node.pool_file.rename(broken))
    try:
        yield
    finally:
        _exchange(node, lambda: broken.replace(node.pool_file))


def _exchange(node: Node, act: Callable[[], object]) -> None:
    """Processes on it end as those do whose disk is gone: by the kernel. Those of the node go on."""
    _apart(lambda: _unmount(node))
    act()
    _apart(lambda: prepare(node.home))


def _unmount(node: Node) -> None:
    enter(node)
    libc.umount(str(node.store), libc.MNT_DETACH)
    for environment_id in known_environments(node):
        sandbox_of(node).signal(environment_id, signal.SIGKILL)


def _apart(act: Callable[[], object]) -> None:
    """In a process of its own: this one stays outside of the node."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
