"""Keeps the node's images: builds beside, then one rename makes it there; a failed build leaves nothing."""

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from runtime.contract import ImageSource, ImageSpec, Kind
from runtime.contract.said import Said
from runtime.contract.words import images
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.host.safetree import SafeTree
from runtime.images.archive import Archive
from runtime.images.base import Progress, Source
from runtime.images.busybox import Busybox
from runtime.images.debian import Debian12, Debian13
from runtime.images.layered import place_of_layers
from runtime.images.layout import MOUNT_POINTS
from runtime.kinds import kind_of
from runtime.node import Node

_SOURCES: dict[ImageSource, Source] = {one.name: one for one in (Busybox(), Debian12(), Debian13(), Archive())}


def _note(node: Node, name: str) -> Path:
    return node.root / "images" / f"{name}.json"


def _read_note(node: Node, name: str) -> dict[str, object]:
    with suppress(OSError, ValueError):
        document = json.loads(_note(node, name).read_text())
        return document if isinstance(document, dict) else {}
    return {}


def is_current(node: Node, spec: ImageSpec) -> bool:
    """Made for this revision or a later one, and as this version of the code would make it."""
    source = _SOURCES.get(spec.source)
    is_of_recipe = source is None or _read_note(node, spec.name).get("recipe", "") == _recipe(source)
    return btrfs.is_subvolume(node.image(spec.name)) and _revision(node, spec) >= spec.revision and is_of_recipe


def _revision(node: Node, spec: ImageSpec) -> int:
    known = _read_note(node, spec.name).get("revision", -1)
    return known if isinstance(known, int) else -1


def _recipe(source: Source) -> str:
    text = source.recipe()
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def size_of(node: Node, name: str) -> int:
    size = _read_note(node, name).get("bytes", 0)
    return size if isinstance(size, int) else 0


def source_of(spec: ImageSpec) -> Source:
    """Raises `RuntimeFault` for one that can't be built here."""
    source = _SOURCES.get(spec.source)
    if source is None:
        raise RuntimeFault(images.source_unknown(spec.source), code="source_unknown")
    return source


def fill(node: Node, spec: ImageSpec, progress: Progress) -> Said:
    """Builds the tree beside; what an earlier try left there is thrown away. What it became, for people."""
    began = time.monotonic()

    def timed(share: float, words: Said) -> None:
        progress(share, images.doing(words, round(time.monotonic() - began)))

    throw_away(node, spec)
    timed(0.0, images.starting())
    btrfs.create_subvolume(_building(node, spec.name))
    return source_of(spec).build(node, spec, _building(node, spec.name), timed)


def throw_away(node: Node, spec: ImageSpec) -> None:
    """What was built beside; a no-op when nothing was."""
    building = _building(node, spec.name)
    for one in (building, place_of_layers(building)):
        btrfs.delete_subvolume(one)


def check(node: Node, spec: ImageSpec, became: Said) -> Said:
    """Refuses what was built beside when no environment could be made from it. What it became, with what else
    is to be told of it."""
    more = check_tree(_building(node, spec.name))
    return images.became_and(became, (more,)) if more else became


def take_in(node: Node, spec: ImageSpec) -> int:
    """What was built beside takes the image's name; its size in bytes. A no-op when it has taken it."""
    building = _building(node, spec.name)
    if btrfs.is_subvolume(building):
        size = _tree_bytes(node, building)
        note = {
            "source": spec.source,
            "recipe": _recipe(source_of(spec)),
            "revision": max(spec.revision, _revision(node, spec)),
            "bytes": size,
            "built_at": time.time(),
        }
        _replace(node, building, spec.name)
        _note(node, spec.name).write_text(json.dumps(note))
    return size_of(node, spec.name)


def _building(node: Node, name: str) -> Path:
    return node.store / "images" / f".building-{name}"


def check_tree(tree: Path) -> Said:
    """What else is to be told of it. Refuses one that the OCI runtime could be led astray by, or that no
    environment can be made from."""
    with SafeTree.open(tree) as safe:
        for name in MOUNT_POINTS:
            if not safe.is_directory(f"/{name}"):
                raise RuntimeFault(images.no_directory(name), code="image_unsafe")
        return kind_of(Kind.SYSTEM).check_image(safe)


def _tree_bytes(node: Node, tree: Path) -> int:
    btrfs.sync(tree)
    table = btrfs.QuotaTable(btrfs.file_system_uuid(node.store))
    return table.used_bytes(0, btrfs.subvolume_id(tree)) or 0


def _replace(node: Node, building: Path, name: str) -> None:
    """The read-only image takes its name in one step; environments made from the old one keep their blocks."""
    target = node.image(name)
    retired = target.with_name(f".retired-{name}")
    btrfs.delete_subvolume(retired)
    btrfs.set_readonly(building, True)
    if target.exists():
        target.rename(retired)
    building.rename(target)
    btrfs.delete_subvolume(retired)


def delete(node: Node, name: str) -> None:
    btrfs.delete_subvolume(node.image(name))
    _note(node, name).unlink(missing_ok=True)
