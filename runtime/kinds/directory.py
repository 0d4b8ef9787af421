"""A tree that somebody logs into and can't leave: a chroot jail that holds. It has no process of its own.

Each command, terminal and session is one container that dies with it, of a user who may do nothing but use the
programs of the tree and write to its home.
"""

from typing import Any

from runtime.contract import EnvironmentSpec
from runtime.contract import Kind as KindName
from runtime.contract.said import Said
from runtime.contract.words import directories
from runtime.images.directory.profiles import DirectoryTrees
from runtime.images.waiter import Waiter
from runtime.kinds.base import FirstCommand, Kind
from runtime.node import Node
from runtime.oci.config import DEFAULT_STOP
from runtime.oci.directory import directory_config
from runtime.resources.ids import IdRange
from runtime.resources.volume import RootVolume
from runtime.sandboxes import Part
from runtime.sandboxes.steps import Open


class Directory(Kind):
    name = KindName.DIRECTORY
    resources = (IdRange, Part.LIMITS, RootVolume, Part.DESCRIPTION, Open)

    def is_ready(self, node: Node, spec: EnvironmentSpec) -> bool:
        return self._has_tree(node, spec) and super().is_ready(node, spec)

    def get_ready(self, node: Node, spec: EnvironmentSpec, waiter: Waiter) -> Said | None:
        made = None
        if not self._has_tree(node, spec):
            assert spec.directory is not None
            DirectoryTrees(node).get(spec.directory, waiter)
            made = directories.tree_made(spec.directory.profile)
        return super().get_ready(node, spec, waiter) or made

    @staticmethod
    def _has_tree(node: Node, spec: EnvironmentSpec) -> bool:
        """Whether a root needn't be made of one any more, or there is one."""
        if spec.directory is None or spec.origin is not None:
            return True
        return DirectoryTrees(node).is_there(spec.directory)

    def command(self, node: Node, spec: EnvironmentSpec) -> FirstCommand:
        """Nothing: there is no first process."""
        return FirstCommand(["/usr/bin/false"], DEFAULT_STOP)

    def config(self, node: Node, spec: EnvironmentSpec) -> dict[str, Any]:
        return directory_config(node, spec)
