"""Commands and terminals in an environment that has no first process: each is one container, and dies with it.

It is open while a mark lies beside its description; what that says is what every entry is made from.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract.words import advice, agent
from runtime.errors import RuntimeFault
from runtime.host.command import run
from runtime.node import Node
from runtime.resources.ids import claimed_uids
from runtime.sandboxes.base import Inner, Shell
from runtime.sandboxes.shared import program
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.conmon import launch_conmon
from runtime.sandboxes.shared.inner import abandon, keeper_arguments
from runtime.sandboxes.shared.rooms import NAME, Room, make_room, session_group, with_words

_MARK = "open"
_BEGIN_S = 20.0


def mark(node: Node, environment_id: UUID) -> Path:
    return node.bundle(environment_id) / _MARK


def is_open(node: Node, environment_id: UUID) -> bool:
    return mark(node, environment_id).exists()


def open_(node: Node, environment_id: UUID) -> None:
    mark(node, environment_id).touch(mode=0o600)


def shut(node: Node, cgroup: Cgroup, environment_id: UUID) -> None:
    """Nobody comes in from now on, and who is in is killed."""
    mark(node, environment_id).unlink(missing_ok=True)
    cgroup.freeze(environment_id, False)
    cgroup.kill(environment_id)


def inner(
    node: Node,
    cgroup: Cgroup,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None,
    pid_file: Path | None,
) -> Inner:
    """As `Sandbox.inner`."""
    room = _room(node, cgroup, environment_id, command, terminal=terminal, environment=environment)
    words = room.runtime(node, "run", f"--bundle={room.place}")
    if pid_file is not None:
        words.append(f"--pid-file={pid_file}")
    return Inner([*words, NAME], program.ENVIRONMENT, (room.descriptor,))


def start_terminal(node: Node, cgroup: Cgroup, environment_id: UUID, directory: Path, shell: Shell) -> None:
    """As `Sandbox.start_terminal`; its description and its keeper's notes lie where those of others do."""
    room = _room(
        *(node, cgroup, environment_id, shell.command),
        terminal=True,
        environment=shell.environment,
        size={"width": shell.columns, "height": shell.rows},
    )
    try:
        arguments = keeper_arguments(node, environment_id, directory, "{}")
        (directory / "config.json").unlink(missing_ok=True)
        (directory / "config.json").symlink_to(room.place / "config.json")
        launch_conmon(node, arguments, directory, log_bytes=shell.log_bytes, room=room).pid()
        start = room.runtime(node, "start", node.container_name(environment_id))
        run(start, timeout_s=_BEGIN_S, environment=program.ENVIRONMENT, pass_fds=(room.descriptor,))
    except BaseException:
        abandon(directory)
        raise
    finally:
        room.close()


def _room(
    node: Node,
    cgroup: Cgroup,
    environment_id: UUID,
    command: Sequence[str],
    *,
    terminal: bool,
    environment: Mapping[str, str] | None,
    size: Mapping[str, int] | None = None,
) -> Room:
    path = cgroup.find(environment_id)
    if path is None or not is_open(node, environment_id) or cgroup.groups.frozen(path):
        raise RuntimeFault(
            agent.not_running(), code="not_running", next_step=advice.start_it(), retryable=False
        )
    group = session_group(cgroup.groups.payload(path))
    config = with_words(
        _config(node, environment_id), command, group=group, terminal=terminal, environment=environment
    )
    if size is not None:
        config["process"]["consoleSize"] = dict(size)
    uids = claimed_uids(node, environment_id)
    if not uids:
        raise RuntimeFault(agent.no_bundle(), code="no_bundle")
    return make_room(node, node.root_volume(environment_id), uids[0], config)


def _config(node: Node, environment_id: UUID) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((node.bundle(environment_id) / "config.json").read_bytes())
    except (OSError, ValueError) as odd:
        raise RuntimeFault(agent.no_bundle(), code="no_bundle") from odd
    return found
