"""An archive of a container's image as a machine's root: an OCI layout, or what `docker save` writes.

skopeo reads what Docker wrote, umoci lays one layer over the other, both in a container that reaches nothing
else; nothing of ours reads a layer.
"""

import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.contract.said import Said
from runtime.contract.words import advice, images
from runtime.contract.words import refusals as words
from runtime.errors import CommandFailed, HostLacks, RuntimeFault
from runtime.host import btrfs
from runtime.images.layout import has_root
from runtime.images.oci import refusals, tools
from runtime.images.oci.registry import ARCHITECTURES
from runtime.node import Node

_MARKS = ("oci-layout", "manifest.json")


def is_layered(tree: Path) -> bool:
    """By what lies at the top of an unpacked archive."""
    return not has_root(tree) and any((tree / name).is_file() for name in _MARKS)


def lay(node: Node, tree: Path, *, within_s: float, limit: Callable[[Path], None]) -> int:
    """The unpacked archive becomes what its image's root is: `tree` is another subvolume then. Of how many.

    `limit`: what a new subvolume is given first. Raises `RuntimeFault`; what is in the tree then is thrown away
    by its caller.
    """
    for program_name in ("skopeo", "umoci"):
        if shutil.which(program_name, path="/usr/bin:/bin") is None:
            raise HostLacks(words.not_installed(program_name))
    layers = place_of_layers(tree)
    btrfs.delete_subvolume(layers)
    tree.rename(layers)
    try:
        source = layers / ".source"
        source.mkdir(mode=0o755)
        for one in list(layers.iterdir()):
            if one != source:
                one.rename(source / one.name)
        source.rename(layers / "source")
        (layers / ".scratch").mkdir(mode=0o755)
        layers.chmod(0o755)
        btrfs.create_subvolume(tree)
        tree.chmod(0o755)
        limit(tree)
        program = tools.program({"/layers": layers, "/tree": tree}, network=None)
        asked = {
            **{"task": "lay", "architecture": ARCHITECTURES.get(platform.machine(), platform.machine())},
            **{"environment": {}, "username": "", "password": "", "host": ""},
        }
        answer = tools.run(node, program, asked, lambda: None, within_s)
    except CommandFailed:  # killed for its memory, most likely: an honest one takes little
        answer = {"refused": ("odd_manifest", {"why": "?"})}
    finally:
        btrfs.delete_subvolume(layers)
    if "refused" in answer:
        raise RuntimeFault(
            _why(*refusals.told(answer["refused"])),
            code="archive_refused",
            next_step=advice.save_it_again(),
            retryable=False,
        )
    return int(answer["layers"])


def place_of_layers(tree: Path) -> Path:
    """Beside the tree, while its layers are laid."""
    return tree.with_name(f"{tree.name}-layers")


def _why(name: str, values: dict[str, Any]) -> Said:
    """Of a program that read what strangers made: the words are ours."""
    told = {key: refusals.plain(str(one)) for key, one in values.items()}
    try:
        return images.LAID[name](**told)
    except (KeyError, TypeError):
        return images.LAID["odd_manifest"]("?")
