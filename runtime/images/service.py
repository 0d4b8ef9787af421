"""Keeps the node's images: builds beside, then one rename makes it there; a failed build leaves nothing."""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from runtime.contract import ImageReport, ImageSource, ImageSpec, ImageState, Kind
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import images, refusals
from runtime.errors import RuntimeFault
from runtime.host import btrfs
from runtime.host.safetree import SafeTree
from runtime.images.archive import Archive
from runtime.images.base import Source
from runtime.images.busybox import Busybox
from runtime.images.debian import Debian12, Debian13
from runtime.images.layout import MOUNT_POINTS
from runtime.kinds import kind_of
from runtime.node import Node
from runtime.state import exclusive

Reporter = Callable[[ImageReport], None]

_SOURCES: dict[ImageSource, Source] = {one.name: one for one in (Busybox(), Debian12(), Debian13(), Archive())}


def ensure_image(node: Node, spec: ImageSpec, report: Reporter) -> None:
    """Has the image on the node, or not, as the spec wants; the last report says how it ended.

    A no-op (but for the report) when it is so already.
    """
    with exclusive(node, f"image-{spec.name}"):
        try:
            if not spec.wanted:
                _delete(node, spec.name)
                return _tell(report, node, spec, ImageState.DELETED)
            became = NOTHING if _is_current(node, spec) else _build(node, spec, report)
            size = _size(node, spec.name)
            return _tell(report, node, spec, ImageState.READY, progress=1.0, size=size, message=became)
        except RuntimeFault as fault:
            return _tell_failed(report, node, spec, fault)
        except OSError as error:
            refusal = RuntimeFault(refusals.kernel_refused(str(error.strerror)), code="os_error")
            return _tell_failed(report, node, spec, refusal)


def _tell(
    report: Reporter,
    node: Node,
    spec: ImageSpec,
    state: ImageState,
    *,
    progress: float = 0.0,
    code: str = "",
    message: Said = NOTHING,
    next_step: Said = NOTHING,
    size: int = 0,
) -> None:
    report(
        ImageReport(
            node=node.name,
            name=spec.name,
            state=state,
            revision=spec.revision,
            bytes=size,
            progress=progress,
            code=code,
            message=message,
            next_step=next_step,
            at=datetime.now(UTC),
        )
    )


def _tell_failed(report: Reporter, node: Node, spec: ImageSpec, fault: RuntimeFault) -> None:
    code, said, next_step = fault.code, fault.said, fault.next_step
    _tell(report, node, spec, ImageState.FAILED, code=code, message=said, next_step=next_step)


def _note(node: Node, name: str) -> Path:
    return node.root / "images" / f"{name}.json"


def _read_note(node: Node, name: str) -> dict[str, object]:
    with suppress(OSError, ValueError):
        document = json.loads(_note(node, name).read_text())
        return document if isinstance(document, dict) else {}
    return {}


def _is_current(node: Node, spec: ImageSpec) -> bool:
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


def _size(node: Node, name: str) -> int:
    size = _read_note(node, name).get("bytes", 0)
    return size if isinstance(size, int) else 0


def _build(node: Node, spec: ImageSpec, report: Reporter) -> Said:
    source = _SOURCES.get(spec.source)
    if source is None:
        raise RuntimeFault(images.source_unknown(spec.source), code="source_unknown")
    began = time.monotonic()

    def progress(share: float, doing: Said) -> None:
        said = images.doing(doing, round(time.monotonic() - began))
        _tell(report, node, spec, ImageState.BUILDING, progress=share, message=said)

    progress(0.0, images.starting())
    building = node.store / "images" / f".building-{spec.name}"
    btrfs.delete_subvolume(building)
    btrfs.create_subvolume(building)
    try:
        became = source.build(node, spec, building, progress)
        if more := check_tree(building):
            became = images.became_and(became, (more,))
        progress(0.98, images.taking_in())
        size = _tree_bytes(node, building)
        _replace(node, building, spec.name)
    except BaseException:
        btrfs.delete_subvolume(building)
        raise
    note = {
        "source": spec.source,
        "recipe": _recipe(source),
        "revision": max(spec.revision, _revision(node, spec)),
        "bytes": size,
        "built_at": time.time(),
    }
    _note(node, spec.name).write_text(json.dumps(note))
    return became


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


def _delete(node: Node, name: str) -> None:
    btrfs.delete_subvolume(node.image(name))
    _note(node, name).unlink(missing_ok=True)
