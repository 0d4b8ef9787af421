"""An image that an older version made is made anew when it is asked for; one that is as it should be is not."""

import pytest

from runtime.contract import ImageReport, ImageSource, ImageSpec, ImageState
from runtime.host import btrfs
from runtime.images import busybox as recipe
from runtime.jobs.images import ensure_image
from runtime.node import Node


def _builds(node: Node, *, revision: int = 0) -> bool:
    """Asks for the image; whether it is another one afterwards. Of one that is made in a moment nothing is told
    in between."""
    reports: list[ImageReport] = []
    spec = ImageSpec(node=node.name, name="busybox", source=ImageSource.BUSYBOX, revision=revision)
    before = btrfs.subvolume_id(node.image("busybox"))
    ensure_image(node, spec, reports.append)
    assert reports[-1].state is ImageState.READY, reports[-1].message
    return btrfs.subvolume_id(node.image("busybox")) != before


def test_only_another_recipe_or_revision_is_built_anew(
    node: Node, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not _builds(node)
    with monkeypatch.context() as older:
        older.setattr(recipe, "_FILES", {**recipe._FILES, "etc/older": "x\n"})
        assert _builds(node)
        assert (node.image("busybox") / "etc/older").exists()
    assert _builds(node), "the next version makes it as it should be"
    assert not (node.image("busybox") / "etc/older").exists()
    assert _builds(node, revision=5)
    assert not _builds(node), "who asks without a revision is content with any"
    assert not _builds(node, revision=5)
    with monkeypatch.context() as older:
        older.setattr(recipe, "_FILES", {**recipe._FILES, "etc/older": "x\n"})
        assert _builds(node)
    assert _builds(node)
    assert not _builds(node, revision=5), "what is built for its recipe keeps its revision"


def test_what_an_older_version_noted_without_a_recipe_is_built_anew(node: Node, busybox: str) -> None:
    note = node.root / "images" / "busybox.json"
    note.write_text('{"source": "busybox", "revision": 0, "bytes": 1}')
    assert _builds(node)
    assert not _builds(node)
