"""A mount namespace for one container: its root, its user namespace, its description, the OCI runtime's notes.

Nothing of it is seen anywhere else, and nothing has to be taken away: it goes with the last process that is in
it, also when whoever made it was killed.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.contract.words import refusals
from runtime.errors import RuntimeFault
from runtime.host import libc, mounts
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.directory import ROOT, USERS
from runtime.sandboxes.shared import program

#: Of what is written there: a description, and what the OCI runtime notes.
_OPTIONS = "mode=711,size=4m,nr_inodes=1k"
#: What the container is called; nobody else sees it.
NAME = "session"


@dataclass(frozen=True)
class Room:
    """One that was made. `descriptor` keeps it until somebody is in it; whoever made it closes it."""

    descriptor: int
    place: Path

    @property
    def way_in(self) -> list[str]:
        """Words before those of a program that is to run there; it inherits the descriptor."""
        return ["nsenter", f"--mount=/proc/self/fd/{self.descriptor}", "--"]

    def runtime(self, node: Node, *words: str) -> list[str]:
        """The OCI runtime, there."""
        return [*self.way_in, *self.called(node), *words]

    def called(self, node: Node) -> list[str]:
        """The same for who is there already."""
        return [program.path(node), f"--root={self.place / 'state'}"]

    def close(self) -> None:
        os.close(self.descriptor)


def make_room(
    node: Node,
    tree: Path,
    first_uid: int,
    config: Mapping[str, Any],
    *,
    shown: Mapping[str, Path] | None = None,
) -> Room:
    """`tree` becomes the root, without set-user-id programs and devices, with ids on the disk as inside.
    `shown`: directories of the node, read-only, by names in the room. Raises `RuntimeFault`."""
    place = node.mounts / NAME
    place.mkdir(mode=0o711, exist_ok=True)
    namespace = mounts.user_namespace(first_uid, IDS_PER_SLOT)
    made: list[int] = []
    fault: list[Exception] = []

    def work() -> None:
        try:
            _furnish(place, tree, namespace, config, shown or {})
            made.append(os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
        except (OSError, RuntimeFault) as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    os.close(namespace)
    if made:
        return Room(made[0], place)
    if isinstance(fault[0], RuntimeFault):
        raise fault[0]
    raise RuntimeFault(refusals.no_namespace(str(fault[0])), code="host_lacks") from fault[0]


def _furnish(
    place: Path, tree: Path, namespace: int, config: Mapping[str, Any], shown: Mapping[str, Path]
) -> None:
    """The calling thread alone is there from now on."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("", "/", "", libc.MS_REC | libc.MS_PRIVATE)
    libc.mount("tmpfs", str(place), "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, _OPTIONS)
    for name in (ROOT, *shown):
        (place / name).mkdir()
    (place / "state").mkdir(mode=0o700)
    mounts.mount_idmapped(tree, place / ROOT, namespace=namespace, may_set_ids=False)
    for name, directory in shown.items():
        libc.mount(str(directory), str(place / name), "", libc.MS_BIND)
        flags = libc.MS_BIND | libc.MS_REMOUNT | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
        libc.mount("", str(place / name), "", flags)
    mounts.pin_namespace(namespace, place / USERS)
    (place / "config.json").write_text(json.dumps(placed(config, place)))


def placed(config: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """With what is in the room by its paths there."""
    linux = config["linux"]
    return {
        **config,
        "root": {**config["root"], "path": str(place / ROOT)},
        "mounts": [_sourced(one, place) for one in config["mounts"]],
        "linux": {**linux, "namespaces": [_pinned(one, place) for one in linux["namespaces"]]},
    }


def _sourced(mount: Mapping[str, Any], place: Path) -> Mapping[str, Any]:
    is_shown = mount["type"] == "bind" and not mount["source"].startswith("/")
    return {**mount, "source": str(place / mount["source"])} if is_shown else mount


def _pinned(namespace: Mapping[str, str], place: Path) -> Mapping[str, str]:
    return {**namespace, "path": str(place / namespace["path"])} if "path" in namespace else namespace


def session_group(payload: str) -> str:
    """A group of one container alone: the OCI runtime takes it away, with all that is in there."""
    return f"{payload}/s-{os.urandom(6).hex()}"


def with_words(
    config: Mapping[str, Any],
    command: Sequence[str],
    *,
    group: str,
    terminal: bool,
    environment: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The configuration of one container that runs this."""
    process = config["process"]
    known = dict(one.partition("=")[::2] for one in process["env"]) | dict(environment or {})
    variables = [f"{key}={value}" for key, value in known.items()]
    return {
        **config,
        "process": {**process, "args": list(command), "terminal": terminal, "env": variables},
        "linux": {**config["linux"], "cgroupsPath": f"/{group}"},
    }
