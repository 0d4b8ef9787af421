"""An image is on a node once, whoever's apps are made from it; for those whom its registry shows it."""

import uuid
from pathlib import Path

from runtime.contract import ObservedState, RegistryAccess, Report
from runtime.engine import Engine
from runtime.images.oci.library import Library
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.support.registry import Hub, busybox, file

SLEEP = {"Entrypoint": ["/bin/sleep", "3600"]}


def test_a_second_tenant_pulls_no_byte(
    make: Make, node: Node, engine: Engine, app_of: AppOf, hub: Hub, reports: list[Report]
) -> None:
    image = hub.push("share/one:1", busybox(), [file("of-one")], config=SLEEP)
    first = make(**app_of(image))
    steps = [(one.name, one.detail) for one in reports[-1].steps]
    assert "fetched" in dict(steps)["image fetch"]
    before = hub.blobs_asked()
    second = make(**app_of(image), tenant_id=uuid.UUID(int=2))
    assert "already here" in {one.name: one.detail for one in reports[-1].steps}["image fetch"]
    assert hub.blobs_asked() - before <= 1  # its configuration, which is shown to that tenant
    sh(node, first, "true")
    assert (node.root_volume(second.id) / "of-one").exists()
    trees = [one for one in Library(node).each() if one.name.endswith("share/one")]
    assert len(trees) == 1


def test_a_digest_that_was_shown_is_not_asked_for_again(
    make: Make, engine: Engine, specs: Specs, app_of: AppOf, hub: Hub, reports: list[Report]
) -> None:
    image = hub.push("share/two:1", busybox(), [file("of-two")], config=SLEEP)
    make(**app_of(image))
    assert reports[-1].app is not None
    by_digest = f"{image.rpartition(':')[0]}@{reports[-1].app.digest}"
    asked = hub.log.read_text().count("GET /v2/")
    make(**app_of(by_digest))
    assert "image fetch" not in [one.name for one in reports[-1].steps]
    assert hub.log.read_text().count("GET /v2/") == asked
    # knowing the digest is not enough: whoever wasn't shown it has to ask, by his own name and password
    stranger = RegistryAccess(insecure=True, inward=False)
    report = engine.apply(specs.new(**app_of(by_digest, registry=stranger), tenant_id=uuid.UUID(int=3)))
    assert report is not None
    assert (report.state, report.code) == (ObservedState.FAILED, "registry_inward")


def test_a_tag_is_resolved_once_for_each_install(
    make: Make, node: Node, engine: Engine, specs: Specs, app_of: AppOf, hub: Hub, reports: list[Report]
) -> None:
    image = hub.push("share/three:1", busybox(), [file("version", b"1\n")], config=SLEEP)
    spec = make(**app_of(image))
    old = reports[-1].app
    hub.push("share/three:1", busybox(), [file("version", b"2\n")], config=SLEEP)
    spec = specs.change(spec, boots=1, stop_timeout_s=0)
    engine.apply(spec)
    assert sh(node, spec, "cat /version") == "1"
    spec = specs.change(spec, installs=1, stop_timeout_s=0)
    engine.apply(spec)
    assert sh(node, spec, "cat /version") == "2"
    assert old is not None
    assert reports[-1].app is not None
    assert reports[-1].app.digest != old.digest
    engine.apply(specs.change(spec, stop_timeout_s=0))  # the fixture deletes by generation


def test_what_nobody_uses_goes(
    make: Make, node: Node, engine: Engine, specs: Specs, app_of: AppOf, hub: Hub
) -> None:
    image = hub.push("share/four:1", busybox(), [file("of-four")], config=SLEEP)
    kept = hub.push("share/five:1", busybox(), [file("of-five")], config=SLEEP)
    gone, stays = make(**app_of(image)), make(**app_of(kept))
    library = Library(node)
    engine.apply(specs.change(gone, desired="deleted"))
    library.sweep()
    names = [one.name.rpartition("/")[2] for one in library.each()]
    assert {"four", "five"} <= set(names)
    library.sweep(unused_for_s=0)
    names = [one.name.rpartition("/")[2] for one in library.each()]
    assert "four" not in names
    assert "five" in names
    assert Path(node.root_volume(stays.id) / "of-five").exists()
