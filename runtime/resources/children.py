"""How many user namespaces may be made in a jail: so many containers it may have inside, whoever makes them.

The kernel counts those below them as well, and whoever has no CAP_SYS_RESOURCE, as nobody in a jail, can't
change the number. user_namespaces(7), namespaces(7)
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import jails
from runtime.errors import CommandFailed, RuntimeFault
from runtime.glance import Glance
from runtime.host.command import run
from runtime.resources.base import Found, Sandboxed

#: Without O_CREAT, which the kernel refuses in a directory of /proc where the file wasn't looked at before.
_WRITE = ("dd", "of=/proc/sys/user/max_user_namespaces", "conv=nocreat,notrunc", "status=none")


class Children(Sandboxed):
    """Without any, the filter refuses them all, and nothing is to be set."""

    name = "children"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        most = spec.jail.children_max if spec.jail is not None else 0
        if not most or self.sandbox.is_there(spec.id):
            return None
        # by a process: one with threads can't enter a user namespace. setns(2)
        words = [
            "nsenter",
            f"--user={self.node.user_namespace(spec.id)}",
            *_WRITE,
        ]
        try:
            run(words, timeout_s=20, stdin=str(most).encode())
        except CommandFailed as failed:
            raise RuntimeFault(jails.children_not_set(str(failed)), code="children_not_set") from failed
        return jails.children(most)

    def remove(self, environment_id: UUID) -> Said | None:
        return None  # it goes with the user namespace

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return None

    def inventory(self) -> Iterable[Found]:
        return ()

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None
