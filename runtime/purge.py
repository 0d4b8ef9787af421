"""Deletes every environment of a node, whoever wants it: for taking an installation away."""

import os
from collections.abc import Callable

import structlog

from runtime.contract.said import plain
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.known import known_environments
from runtime.node import Node
from runtime.prepare import enter, is_pinned

log = structlog.get_logger()


def delete_all(node: Node, say: Callable[[str], None]) -> None:
    """In a child process, so that the caller stays in the host's mount namespace. A no-op without a node."""
    if not is_pinned(node):
        return
    child = os.fork()
    if child == 0:
        status = 1
        try:
            enter(node)
            _delete_all(node, say)
            status = 0
        except RuntimeFault as fault:
            say(f"stopped: {fault}")
        except Exception:  # the edge of this process
            log.exception("purge failed")
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeFault(plain("not every environment could be deleted"), next_step=plain("Run it again."))


def _delete_all(node: Node, say: Callable[[str], None]) -> None:
    engine = Engine(node)
    owners = {found.environment_id for found in engine.leaks() if found.environment_id}
    owners |= set(known_environments(node))
    for owner in owners:
        for resource in engine.tools.in_order_of_removal():
            resource.remove(owner)
        say(f"deleted {owner}")
