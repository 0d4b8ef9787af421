"""What an app is told of its name and of the network around it (/etc/hostname, hosts and resolv.conf), and the
files that it was given.

Written at each start, since no system inside looks after them, and where the panel's word on them changed.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import steps
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host.safetree import SafeTree
from runtime.resources.base import Found, Resource
from runtime.resources.resolvers import nameservers

_LOCALHOST = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class AppFiles(Resource):
    name = "app files"
    lifetime = "environment"

    def _wanted(self, spec: EnvironmentSpec) -> dict[str, bytes]:
        own = [str(one) for one in (*spec.network.ipv4, *spec.network.ipv6)] or ["127.0.1.1"]
        named = [(one, name) for one in own for name in dict.fromkeys((spec.host_name, spec.name))]
        named += [(str(address), one.name) for one in spec.network.names for address in one.addresses]
        named += [(str(address), name) for name, address in spec.app.hosts.items()] if spec.app else []
        return {
            "/etc/hostname": f"{spec.host_name}\n".encode(),
            "/etc/hosts": (_LOCALHOST + "".join(f"{address}\t{name}\n" for address, name in named)).encode(),
            "/etc/resolv.conf": "".join(f"nameserver {one}\n" for one in nameservers(self.node, spec)).encode(),
        }

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if not spec.runs_app:
            return None  # somebody repairs it: it is told at its next start
        written = False
        with SafeTree.open(self.node.root_volume(spec.id)) as tree:
            if not tree.is_directory("/etc"):
                tree.remove("/etc")
                tree.make_directory("/etc")
            given = {path: text.encode() for path, text in (spec.app.files if spec.app else {}).items()}
            for path in given:
                _make_way(tree, path)
            for path, text in {**given, **self._wanted(spec)}.items():
                if self._text(tree, path) != text:
                    if not tree.is_file(path):
                        tree.remove(path)
                    tree.write(path, text)
                    written = True
        return steps.host_name() if written else None

    @staticmethod
    def _text(tree: SafeTree, path: str) -> bytes | None:
        try:
            return tree.read(path)
        except RuntimeFault:  # a fifo, a directory, …: another takes its place
            return None

    def remove(self, environment_id: UUID) -> Said | None:
        return None  # they are part of the root volume, and stay with it

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return None

    def inventory(self) -> Iterable[Found]:
        return ()

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None  # its owner may change them


def _make_way(tree: SafeTree, path: str) -> None:
    """The directories above it, where there are none. Raises `UnsafePath` where one of them is a link."""
    for above in reversed(PurePosixPath(path).parents[:-1]):
        if not tree.is_directory(str(above)):
            tree.make_directory(str(above))
