"""A look at an environment's own files for the ways in that root has, and for what stands before each.

Its owner wrote the files, and may say what he likes of his own doors: by what is found nothing is decided.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from runtime.contract import EnvironmentSpec, Kernel, Rescue
from runtime.contract.said import NOTHING, Said
from runtime.contract.ways_in import Way, WayName, WaysIn
from runtime.contract.words import ways
from runtime.host.processes import Identity
from runtime.host.safetree import SafeTree
from runtime.node import Node
from runtime.oci.init import SYSTEMD_HALTS_AT, halts_at
from runtime.sandboxes import SandboxState, sandbox_of
from runtime.ways_in.account import Root, refusal, root_of
from runtime.ways_in.servers import Server, server_of

_GETTYS = ("/sbin/agetty", "/sbin/getty", "/usr/sbin/agetty")
_WANTS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system")
_TARGETS = ("multi-user.target.wants", "sockets.target.wants", "graphical.target.wants", "default.target.wants")
_RUNLEVELS = ("/etc/runlevels/default", "/etc/runlevels/boot", "/etc/runlevels/sysinit")
#: Of /proc/net/tcp: what listens stands before what is connected.
_TABLE_BYTES = 256 * 1024
_LISTENS = "0A"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000")

#: Whether anything listens on a port, reachable from outside.
Listens = Callable[[int], bool]


def ways_in(tree: SafeTree, listens: Listens | None = None) -> WaysIn:
    """Without `listens` it doesn't run, or can't be asked: then it counts what is started at boot."""
    root = root_of(tree)
    if root is None:
        return _told(dict.fromkeys(WayName, ways.no_root()))
    out, server = refusal(tree, root), server_of(tree, root)
    reasons = {WayName.CONSOLE: out or _console(tree, root)}
    if server is None:
        return _told({**reasons, WayName.SSH_KEY: ways.no_server(), WayName.SSH_PASSWORD: ways.no_server()})
    out = out or _down(tree, server, listens)
    reasons[WayName.SSH_KEY] = out or server.refuses_keys(tree, root)
    reasons[WayName.SSH_PASSWORD] = out or _without_password(root) or server.refuses_password(root)
    return _told(reasons, server.port)


def look(node: Node, spec: EnvironmentSpec) -> WaysIn:
    """Those of an environment of this node now. Raises OSError where it has no root.

    In a rescue system, and with a kernel of its own, it counts what is started at boot."""
    is_asked = spec.runs_on is Kernel.SHARED and spec.rescue is Rescue.OFF
    listens = _listens(node, spec.id) if is_asked else None
    with SafeTree.open(node.root_volume(spec.id)) as tree:
        return ways_in(tree, listens)


def _told(reasons: dict[WayName, Said], port: int = 22) -> WaysIn:
    made = [Way(name=name, is_open=not reasons[name], why=reasons[name]) for name in WayName]
    return WaysIn(ways=tuple(made), ssh_port=port)


def _without_password(root: Root) -> Said:
    return NOTHING if root.has_password else ways.no_password()


def _console(tree: SafeTree, root: Root) -> Said:
    """Of an init that isn't systemd nobody knows what it runs there."""
    if not root.has_password:
        return ways.no_password()
    is_systemd = halts_at(tree) == SYSTEMD_HALTS_AT
    return ways.no_getty() if is_systemd and not any(tree.exists(one) for one in _GETTYS) else NOTHING


def _down(tree: SafeTree, server: Server, listens: Listens | None) -> Said:
    """Why nobody answers, as far as that can be told."""
    if listens is not None:
        return NOTHING if listens(server.port) else ways.nothing_listens(server.port)
    if halts_at(tree) == SYSTEMD_HALTS_AT:
        names = [f"{unit}.{kind}" for unit in server.units for kind in ("service", "socket")]
        wanted = {
            name
            for place in _WANTS
            for target in _TARGETS
            for name in tree.names(f"{place}/{target}")
            if name in names and tree.link_target(f"/etc/systemd/system/{name}") != "/dev/null"
        }
        return NOTHING if wanted else ways.not_started_at_boot()
    if tree.is_directory("/etc/runlevels"):
        started = {name for place in _RUNLEVELS for name in tree.names(place)}
        return NOTHING if started.intersection(server.units) else ways.not_started_at_boot()
    return NOTHING


def _listens(node: Node, environment_id: UUID) -> Listens | None:
    """From the tables of its network namespace (proc_net(5)); None when it doesn't run."""
    seen = sandbox_of(node).look(environment_id)
    known = Identity.of(seen.pid) if seen.state is SandboxState.RUNNING and seen.pid else None
    if known is None:
        return None
    with suppress(OSError, ValueError), known.directory() as directory:
        ports = set().union(*(_listening(_read(directory, table)) for table in ("net/tcp", "net/tcp6")))
        return ports.__contains__
    return None


def _read(directory: int, name: str) -> str:
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(fd, "rb") as file:
        return file.read(_TABLE_BYTES).decode(errors="replace")


def _listening(table: str) -> set[int]:
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] != _LISTENS:
            continue
        address, _, port = fields[1].partition(":")
        if address not in _LOOPBACK:
            found.add(int(port, 16))
    return found
