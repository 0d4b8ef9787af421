"""Registries that lie, never end, lead inward or say nothing; images of others: a sentence, nothing left."""

import gzip
import http.server
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from runtime.contract import DesiredState, ObservedState, RegistryAccess, Report, TenantEnvelope
from runtime.engine import Engine
from runtime.images.oci import egress
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.liar import SLEEP, Liar, lead, say
from tests.host.support.node import Specs
from tests.support.registry import Hub, busybox, file

Refused = Callable[..., Report]


@pytest.fixture
def refused(node: Node, engine: Engine, specs: Specs, app_of: AppOf) -> Refused:
    def check(image: str, code: str, *, registry: RegistryAccess | None = None, **fields: Any) -> Report:
        more = {} if registry is None else {"registry": registry}
        report = engine.apply(specs.new(**app_of(image, **more), **fields))
        assert report is not None
        assert (report.state, report.code) == (ObservedState.FAILED, code), report.message
        assert report.message.endswith("Nothing is left of it.")
        assert engine.leaks() == []
        assert not list(node.mounts.glob("import-*"))
        assert not [one for one in (node.store / "apps").glob(".*") if one.is_dir()]
        return report

    return check


def test_a_layer_that_is_another_than_its_digest(liar: Liar, refused: Refused) -> None:
    layer = liar.blob(gzip.compress(b"a" * 5000), served=gzip.compress(b"b" * 5000))
    report = refused(f"{liar.image(layer)}:1", "registry_refused")
    assert "digest" in report.message.lower()


def test_a_manifest_that_is_another_than_was_asked_for(liar: Liar, refused: Refused) -> None:
    wrong = "sha256:" + "0" * 64
    text = b'{"schemaVersion": 2}'
    liar.answers[f"/manifests/{wrong}"] = lambda request: say(request, text)
    report = refused(f"{liar.host}/lie@{wrong}", "other_digest")
    assert "0000" in report.message


def test_a_layer_without_an_end(liar: Liar, refused: Refused) -> None:
    """It is cut off a little behind what the manifest says."""
    sent: list[int] = []

    def pour(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        piece = os.urandom(1 << 20)
        try:
            while len(sent) < 2000:
                request.wfile.write(piece)
                sent.append(1)
        except OSError:
            pass

    digest, size = liar.blob(b"x" * 1000)
    liar.answers[f"/blobs/{digest}"] = pour
    report = refused(f"{liar.image((digest, size))}:1", "image_too_large")
    assert len(sent) < 400
    assert "larger" in report.message


def test_a_redirect_inward(liar: Liar, hub: Hub, refused: Refused) -> None:
    """The registry was named by an administrator; where it leads was not."""
    digest, size = liar.blob(b"x" * 1000)
    image = f"{liar.image((digest, size))}:1"
    for place in (
        "http://169.254.169.254/latest",
        f"https://{hub.host}/v2/",
        "https://10.0.0.1/",
        "https://[::1]/",
    ):
        liar.answers[f"/blobs/{digest}"] = lead(place)
        # to itself a program takes no way that we see: there is nothing there
        codes = {"http://169.254.169.254/latest": "without_tls", "https://10.0.0.1/": "registry_inward"}
        refused(image, codes.get(place, "registry_refused"))
    assert not [one for one in liar.asked if "latest" in one]


def test_a_registry_that_nobody_named(hub: Hub, shell_image: str, refused: Refused) -> None:
    """Inward for a tenant, and over plain HTTP for nobody but by an administrator's word."""
    inward = refused(shell_image, "registry_inward", registry=RegistryAccess())
    assert "administrator" in inward.message
    assert "administrator" in inward.next_step
    refused(shell_image, "registry_inward", registry=RegistryAccess(insecure=True))
    refused(shell_image, "registry_refused", registry=RegistryAccess(inward=True))
    refused("none.invalid/one:1", "registry_unknown", registry=RegistryAccess())


def test_a_registry_that_says_nothing(liar: Liar, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "SILENCE_S", 1.0)
    hold = threading.Event()
    liar.answers["/manifests/1"] = lambda request: (hold.wait(30), None)[1]
    refused(f"{liar.host}/lie:1", "registry_silent")
    hold.set()


def test_it_is_cut_off_at_once_by_a_newer_wish(
    liar: Liar, engine: Engine, node: Node, specs: Specs, app_of: AppOf
) -> None:
    """Whoever deletes it waits for no registry."""
    hold = threading.Event()
    liar.answers["/manifests/1"] = lambda request: (hold.wait(60), None)[1]
    spec = specs.new(**app_of(f"{liar.host}/lie:1"))
    thread = threading.Thread(target=engine.apply, args=(spec,))
    thread.start()
    until = time.monotonic() + 30
    while not liar.asked and time.monotonic() < until:
        time.sleep(0.05)
    began = time.monotonic()
    other = Engine(node)
    other.apply(specs.change(spec, desired=DesiredState.DELETED))
    thread.join(30)
    hold.set()
    assert not thread.is_alive()
    assert time.monotonic() - began < 20
    assert engine.leaks() == []
    assert not list(node.mounts.glob("import-*"))


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ({"architecture": "riscv64"}, "other_platform", "linux/riscv64"),
        ({"os": "windows"}, "other_platform", "windows/amd64"),
        ({"config": {"Entrypoint": "a string" * 9999}}, "odd_manifest", "no image"),
    ],
)
def test_images_of_others(hub: Hub, refused: Refused, document: dict[str, Any], code: str, words: str) -> None:
    image = hub.push("odd/one:1", busybox(), **document)
    assert words in refused(image, code).message


def test_what_is_not_there(hub: Hub, refused: Refused) -> None:
    report = refused(f"{hub.host}/none/none:1", "image_missing")
    assert f"{hub.host}/none/none:1" in report.message


def test_an_image_without_a_configuration(liar: Liar, refused: Refused) -> None:
    liar.answers["/manifests/1"] = lambda request: say(
        request, b'{"schemaVersion": 2, "layers": []}', "application/vnd.docker.distribution.manifest.v2+json"
    )
    refused(f"{liar.host}/lie:1", "odd_manifest")


def test_an_image_that_unpacks_to_more_than_the_tenant_has(hub: Hub, refused: Refused) -> None:
    """A bomb: packed it is small."""
    image = hub.push("odd/bomb:1", busybox(), [file("zeros", bytes(200 * 2**20))], config=SLEEP)
    report = refused(image, "image_too_large", envelope=TenantEnvelope(disk_mb=64))
    assert "64" in report.message or "quota" in report.message.lower()


def test_others_notice_nothing(make: Make, engine: Engine, app_of: AppOf, shell_image: str) -> None:
    spec = make(**app_of(shell_image))
    report = engine.current_report(spec.id)
    assert report is not None
    assert report.state is ObservedState.RUNNING
