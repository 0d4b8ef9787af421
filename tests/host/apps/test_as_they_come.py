"""Layers are unpacked while others are on their way, and what comes of it is the same."""

import gzip
import hashlib
import http.server
import time
from pathlib import Path

import pytest

from runtime.contract import ObservedState
from runtime.engine import Engine
from runtime.images.oci.library import Library
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.liar import Liar, say
from tests.host.support.node import Specs
from tests.support.registry import Entry, busybox, file, folder, tar_of


def _unpacked(node: Node, name: str) -> bool:
    return any(Library(node).directory.glob(f".tree-*/{name}"))


def _waits_for_the_first(node: Node) -> bool:
    until = time.monotonic() + 20
    while not _unpacked(node, "bin/busybox") and time.monotonic() < until:
        time.sleep(0.02)
    return _unpacked(node, "bin/busybox")


def _layer(liar: Liar, entries: list[Entry]) -> tuple[tuple[str, int], str]:
    raw = tar_of(entries)
    return liar.blob(gzip.compress(raw, 1, mtime=0)), f"sha256:{hashlib.sha256(raw).hexdigest()}"


@pytest.fixture
def waited(node: Node, liar: Liar) -> list[bool]:
    """Whether the first layer was there when the last one was given away: it waits so long."""
    found: list[bool] = []
    first = [*busybox(), file("gone"), folder("old"), file("old/file"), folder("kept"), file("kept/a", b"1\n")]
    second = [file("kept/a", b"2\n"), file("kept/b")]
    last = [file(".wh.gone"), folder("old"), file("old/.wh..wh..opq"), file("old/new"), file("last")]
    (one, in_one), (two, in_two), (three, in_three) = (_layer(liar, each) for each in (first, second, last))
    content = liar.answers[f"/blobs/{three[0]}"]

    def late(request: http.server.BaseHTTPRequestHandler) -> None:
        found.append(_waits_for_the_first(node) and not _unpacked(node, "last"))
        content(request)

    liar.answers[f"/blobs/{three[0]}"] = late
    liar.image(one, two, three, contents=[in_one, in_two, in_three])
    return found


def test_the_first_layer_is_unpacked_before_the_last_one_came(
    make: Make, node: Node, engine: Engine, liar: Liar, waited: list[bool], app_of: AppOf
) -> None:
    spec = make(**app_of(f"{liar.host}/lie:1"))
    assert waited == [True]
    told = sh(node, spec, "ls /old; cat /kept/a; ls /kept /last; ls /gone || echo none")
    assert told.split() == ["new", "2", "/last", "/kept:", "a", "b", "none"]
    assert engine.leaks() == []
    assert not [one for one in Library(node).directory.iterdir() if one.name.startswith(".")]


def test_what_is_no_layer_of_it_leaves_nothing_of_those_before(
    node: Node, engine: Engine, specs: Specs, liar: Liar, waited: list[bool], app_of: AppOf
) -> None:
    (path,) = [one for one in liar.answers if liar.answers[one].__name__ == "late"]

    def lie(request: http.server.BaseHTTPRequestHandler) -> None:
        waited.append(_waits_for_the_first(node))
        say(request, b"other bytes")

    liar.answers[path] = lie
    report = engine.apply(specs.new(**app_of(f"{liar.host}/lie:1")))
    assert report is not None
    assert report.state is ObservedState.FAILED
    assert waited[0]
    assert engine.leaks() == []
    assert not [one for one in Library(node).directory.iterdir() if one.name.startswith(".")]
    assert not list(Path(node.mounts).glob("import-*"))
