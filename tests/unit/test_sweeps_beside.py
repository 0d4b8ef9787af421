"""Sweeps of what nobody owns, beside somebody who is just coming."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime import tenants
from runtime.contract import Suspension, TenantEnvelope
from runtime.host import btrfs
from runtime.images.oci.library import Kept, Library
from runtime.node import Node
from tests.unit.engine.paper import paper_node

TENANT = uuid.UUID(int=7)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with paper_node(tmp_path) as (one, _):
        yield one


def test_a_suspension_that_comes_with_the_first_environment_is_not_forgotten(node: Node) -> None:
    old, new = (TenantEnvelope(revision=one, suspended=how) for one, how in ((1, None), (2, Suspension.STOP)))
    tenants.note(node, TENANT, old)
    looks: list[set[uuid.UUID]] = []

    def living() -> set[uuid.UUID]:
        if not looks:  # nobody yet; and in this moment one comes
            tenants.note(node, TENANT, new)
            looks.append(set())
            return set()
        return {TENANT}

    tenants.sweep(node, living)
    assert tenants.read(tenants.text_of(node, TENANT)) == new
    tenants.sweep(node, set)
    assert tenants.text_of(node, TENANT) == b""


@pytest.mark.parametrize("how", ["shown", "chosen"])
def test_an_image_that_somebody_is_about_to_use_stays(
    node: Node, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    library = Library(node)
    kept = Kept(key="k1", name="registry/x", digest="sha256:" + "0" * 64)
    monkeypatch.setattr(btrfs, "delete_subvolume", lambda _: 1)
    monkeypatch.setattr(btrfs, "sync", lambda _: None)
    library.tree("k1").mkdir(parents=True)
    library._write(kept)
    note = library._note("k1")
    os.utime(note, (1, 1))
    in_use: list[set[str]] = [set(), {"k1"} if how == "chosen" else set()]
    monkeypatch.setattr(Library, "_in_use", lambda _: in_use.pop(0) if len(in_use) > 1 else in_use[0])
    look: Any = Library._used_at

    def late(self: Library, key: str) -> float:
        found = look(self, key)
        if how == "shown" and found == 1:
            library.show("k1", kept.digest, TENANT)
        return float(found)

    monkeypatch.setattr(Library, "_used_at", late)
    assert library.sweep() == 0
    assert note.exists()
    monkeypatch.setattr(Library, "_used_at", look)
    os.utime(note, (1, 1))
    in_use[:] = [set()]
    assert library.sweep() == 1
    assert not note.exists()
