"""A root file system that an administrator handed in as a tar archive, or an image of a container in one.

The panel stages the file below HOME and says its id, size and sha256; a path never comes from it. The file is
the panel's to change, so it is opened without following links and what was unpacked counts, by its hash.
"""

import os
from contextlib import suppress
from pathlib import Path

from runtime.contract import ImageSource, ImageSpec
from runtime.contract.said import Said
from runtime.contract.words import advice, images
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.host.safetree import SafeTree
from runtime.images.base import Progress, Source
from runtime.images.layered import is_layered, lay
from runtime.images.layout import arrange
from runtime.images.unpack import Caps, unpack
from runtime.node import Node

#: Read of /etc/os-release at most (os-release(5) is some hundred bytes).
OS_RELEASE_BYTES = 64 * 1024


class Archive(Source):
    name = ImageSource.ARCHIVE

    def __init__(self, caps: Caps | None = None):
        self.caps = caps or Caps()

    def build(self, node: Node, spec: ImageSpec, tree: Path, progress: Progress) -> Said:
        if spec.archive is None:
            raise RuntimeFault(
                images.no_archive(),
                code="archive_missing",
                next_step=advice.import_it_with_the_file(),
                retryable=False,
            )
        file = self._open(node, spec)
        try:
            progress(0.05, images.unpacking())
            told = 0.0

            def pumped(done: int) -> None:
                nonlocal told
                share = done / max(1, spec.archive.bytes if spec.archive else 1)
                if share - told >= 0.05:
                    told = share
                    progress(min(0.95, 0.05 + 0.9 * share), images.unpacked(done >> 20))

            self._limit(node, tree)
            done = unpack(node, file, tree, caps=self.caps, progress=pumped)
        finally:
            os.close(file)
        if done.sha256 != spec.archive.sha256:
            raise RuntimeFault(
                images.other_archive(),
                code="archive_changed",
                next_step=advice.import_it_again(),
                retryable=False,
            )
        root_mode, layers = done.root_mode, 0
        if is_layered(tree):
            progress(0.96, images.laying())
            layers = lay(node, tree, within_s=self.caps.seconds, limit=lambda new: self._limit(node, new))
            root_mode = 0o755
        arrange(tree, root_mode)
        system = pretty_name(tree)
        became = images.became_of_layers(system, layers) if layers else images.became(system, done.entries)
        more = []
        if done.devices:
            more.append(images.devices_left_out(done.devices))
        if tree.stat().st_mode & 0o005 != 0o005:
            more.append(images.closed_root())
        return images.became_and(became, tuple(more)) if more else became

    @staticmethod
    def _open(node: Node, spec: ImageSpec) -> int:
        assert spec.archive is not None
        try:
            with SafeTree.open(node.home / "panel") as safe:
                return safe.open_file(f"/archives/{spec.archive.id}", size=spec.archive.bytes)
        except FileNotFoundError as gone:
            raise RuntimeFault(
                images.archive_gone(),
                code="archive_missing",
                next_step=advice.import_it_on_the_node(),
                retryable=False,
            ) from gone

    def _limit(self, node: Node, tree: Path) -> None:
        """The kernel holds the same cap as the reader does."""
        group = btrfs.qgroup_id(0, btrfs.subvolume_id(tree))
        btrfs.limit_qgroup(node.store, group, self.caps.tree_bytes)


def pretty_name(tree: Path) -> str | Said:
    """PRETTY_NAME of os-release(5) without anything that isn't plain text; `a system` when it says none."""
    with SafeTree.open(tree) as safe, suppress(RuntimeFault):
        for line in (
            (safe.read("/etc/os-release", OS_RELEASE_BYTES) or b"").decode(errors="replace").splitlines()
        ):
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                text = "".join(letter for letter in value.strip("\"'") if letter.isprintable())
                return text[:80] or images.some_system()
    return images.some_system()
