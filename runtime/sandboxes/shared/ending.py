"""How an environment's processes end: asked, then killed."""

import signal
import time
from collections.abc import Callable
from uuid import UUID

from runtime.contract.said import Said
from runtime.contract.words import changes, refusals, steps
from runtime.errors import RuntimeFault, Superseded
from runtime.host import fuse
from runtime.host.processes import Held
from runtime.node import Node
from runtime.resources.ids import claimed_uids
from runtime.sandboxes.shared import container
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.halting import Halt

#: A process that was killed ends within this, as a rule, however much it held.
_DYING_S = 0.2


def stop(
    node: Node,
    cgroup: Cgroup,
    environment_id: UUID,
    *,
    timeout_s: float,
    interrupted: Callable[[], bool],
    kill_within_s: float,
) -> Said | None:
    """As `Sandbox.stop`."""
    runs = container.init(node, environment_id)
    if runs is None:
        return None
    try:
        with runs.held() as held:
            if timeout_s > 0 and not container.gate(node, environment_id).exists():
                cgroup.freeze(environment_id, False)  # a paused one hears nothing
                if _ended(held, Halt(node, environment_id, runs, held), timeout_s, interrupted):
                    return steps.shut_down()
            _kill(node, cgroup, environment_id, held, kill_within_s)
    except ProcessLookupError:
        return None  # in this moment, by itself
    return steps.forced() if timeout_s > 0 else steps.killed()


def _ended(init: Held, halt: Halt, timeout_s: float, interrupted: Callable[[], bool]) -> bool:
    """Whether it shut down in time."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        halt.ask()
        if init.ends_within(min(0.5, until - time.monotonic())):
            return True
        if interrupted():
            raise Superseded(changes.superseded_while_stopping())
    return False


def _kill(node: Node, cgroup: Cgroup, environment_id: UUID, init: Held, within_s: float) -> None:
    """The kernel ends every process of a pid namespace with its init."""
    cgroup.freeze(environment_id, False)
    init.send(signal.SIGKILL)
    until = time.monotonic() + within_s
    while not init.ends_within(_DYING_S):
        _end_own_file_systems(node, environment_id)
        if time.monotonic() > until:
            raise RuntimeFault(refusals.unkillable(within_s), code="unkillable")


def kill_rest(node: Node, cgroup: Cgroup, environment_id: UUID) -> None:
    """Processes of an init that is gone, or was never told."""
    cgroup.kill(environment_id)
    if cgroup.usage(environment_id).processes:
        _end_own_file_systems(node, environment_id)


def _end_own_file_systems(node: Node, environment_id: UUID) -> None:
    """Some of its processes wait for one that they should answer for themselves, and wouldn't end."""
    for first in claimed_uids(node, environment_id):
        fuse.abort(node, first)
