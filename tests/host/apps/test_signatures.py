"""An image is run where a signature of it fits the key that its registry is named with, and nowhere else."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.contract import ObservedState, RegistryAccess, Report, SignaturePolicy
from runtime.engine import Engine
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.support.ports import free_port
from tests.support.registry import Hub, busybox, file
from tests.support.signing import Gpg, Sigstore

Refusal = Callable[[str, RegistryAccess], Report]
SLEEP = {"Entrypoint": ["/bin/sleep", "3600"]}


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Gpg:
    return Gpg.new(tmp_path_factory.mktemp("gpg"))


@pytest.fixture(scope="module")
def lookaside(gpg: Gpg, hub: Hub) -> Iterator[str]:
    with gpg.served(hub.enter) as place:
        yield place


def by_gpg(lookaside: str, *keys: str) -> RegistryAccess:
    where = {"lookaside": lookaside, "insecure": True, "inward": True}
    policies = tuple(SignaturePolicy.model_validate({"kind": "gpg", "key": key, **where}) for key in keys)
    return RegistryAccess(insecure=True, inward=True, signatures=policies)


def by_sigstore(*keys: str) -> RegistryAccess:
    policies = tuple(SignaturePolicy(kind="sigstore", key=key) for key in keys)
    return RegistryAccess(insecure=True, inward=True, signatures=policies)


@pytest.fixture
def refused(engine: Engine, specs: Specs, app_of: AppOf, node: Node) -> Refusal:
    def of(image: str, access: RegistryAccess) -> Report:
        spec = specs.new(**app_of(image, registry=access))
        report = engine.apply(spec)
        assert report is not None
        assert report.state is ObservedState.FAILED
        assert not node.root_volume(spec.id).exists()
        return report

    return of


def test_signed_by_gpg(
    make: Make, node: Node, hub: Hub, app_of: AppOf, gpg: Gpg, lookaside: str, refused: Refusal
) -> None:
    image = hub.push("signed/gpg:1", busybox(), [file("of-gpg")], config=SLEEP)
    access = by_gpg(lookaside, gpg.public)
    report = refused(image, access)
    assert report.code == "image_not_signed"
    assert "isn't signed" in str(report.message)
    before = hub.blobs_asked()
    assert refused(image, access).code == "image_not_signed"
    assert hub.blobs_asked() - before <= 1, "its configuration alone: no layer of what isn't signed is fetched"
    gpg.sign(hub, image)
    sh(node, make(**app_of(image, registry=access)), "test -e /of-gpg")


def test_another_key_and_all_of_several(
    make: Make,
    hub: Hub,
    app_of: AppOf,
    gpg: Gpg,
    lookaside: str,
    refused: Refusal,
    reports: list[Report],
    tmp_path: Path,
) -> None:
    image = hub.push("signed/other:1", busybox(), [file("of-other")], config=SLEEP)
    gpg.sign(hub, image)
    other = Gpg.new(tmp_path)
    ours, theirs = by_gpg(lookaside, gpg.public), by_gpg(lookaside, other.public)
    assert refused(image, theirs).code == "image_signed_otherwise"
    make(**app_of(image, registry=ours))
    assert reports[-1].app is not None
    by_digest = f"{image.rpartition(':')[0]}@{reports[-1].app.digest}"
    # what is here already, by a digest that was shown to this tenant, is looked at too
    assert refused(by_digest, theirs).code == "image_signed_otherwise"
    assert refused(by_digest, by_gpg(lookaside, gpg.public, other.public)).code == "image_signed_otherwise"
    asked = hub.log.read_text().count("GET /v2/")
    make(**app_of(by_digest, registry=ours))
    assert hub.log.read_text().count("GET /v2/") == asked, "its signature was looked at before"


def test_what_came_after_the_signature_isnt_signed(
    hub: Hub, gpg: Gpg, lookaside: str, refused: Refusal
) -> None:
    image = hub.push("signed/changed:1", busybox(), [file("before")], config=SLEEP)
    gpg.sign(hub, image)
    hub.push("signed/changed:1", busybox(), [file("after")], config=SLEEP)
    assert refused(image, by_gpg(lookaside, gpg.public)).code == "image_not_signed"


def test_a_signature_of_another_repository(hub: Hub, gpg: Gpg, lookaside: str, refused: Refusal) -> None:
    """The very same image elsewhere, with the signature of the first put beside it."""
    layers = busybox(), [file("of-moved")]
    image = hub.push("signed/moved:1", *layers, config=SLEEP)
    gpg.sign(hub, image)
    other = hub.push("signed/elsewhere:1", *layers, config=SLEEP)
    (signed,) = gpg.folder.glob("signed/moved@*")
    signed.rename(signed.with_name(signed.name.replace("moved@", "elsewhere@")))
    assert refused(other, by_gpg(lookaside, gpg.public)).code == "image_signed_otherwise"


def test_a_place_of_signatures_that_lies_inward(hub: Hub, gpg: Gpg, lookaside: str, refused: Refusal) -> None:
    """A tenant's own word opens no way inward, though an administrator opened one to the registry."""
    image = hub.push("signed/inward:1", busybox(), [file("of-inward")], config=SLEEP)
    gpg.sign(hub, image)
    policy = SignaturePolicy(kind="gpg", key=gpg.public, lookaside=lookaside, insecure=True)
    access = RegistryAccess(insecure=True, inward=True, signatures=(policy,))
    assert refused(image, access).code == "registry_inward"


def test_signatures_that_nobody_serves(hub: Hub, gpg: Gpg, refused: Refusal) -> None:
    image = hub.push("signed/silent:1", busybox(), [file("of-silent")], config=SLEEP)
    gpg.sign(hub, image)
    assert refused(image, by_gpg(f"http://127.0.0.1:{free_port()}", gpg.public)).code == "registry_silent"


def test_an_odd_key_is_refused_and_nothing_runs(hub: Hub, gpg: Gpg, lookaside: str, refused: Refusal) -> None:
    image = hub.push("signed/odd:1", busybox(), [file("of-odd")], config=SLEEP)
    gpg.sign(hub, image)
    assert refused(image, by_gpg(lookaside, "no key")).code == "image_signed_otherwise"


def test_signed_by_sigstore(
    make: Make, node: Node, hub: Hub, app_of: AppOf, refused: Refusal, tmp_path: Path
) -> None:
    """Where the node's skopeo can tell; else nothing is run of it, and the sentence says why."""
    image = hub.push("signed/sigstore:1", busybox(), [file("of-sigstore")], config=SLEEP)
    ours, others = Sigstore(), Sigstore()
    assert refused(image, by_sigstore(ours.public)).code == "image_not_signed"
    ours.sign(hub, image, tmp_path / "signature")
    code = refused(image, by_sigstore(others.public)).code
    if code == "sigstore_unavailable":
        assert refused(image, by_sigstore(ours.public)).code == code
        return
    assert code == "image_signed_otherwise"
    sh(node, make(**app_of(image, registry=by_sigstore(ours.public))), "test -e /of-sigstore")


def test_who_has_no_policy_runs_it_and_nobody_is_helped_by_that(
    make: Make, hub: Hub, app_of: AppOf, gpg: Gpg, lookaside: str, refused: Refusal
) -> None:
    image = hub.push("signed/free:1", busybox(), [file("of-free")], config=SLEEP)
    make(**app_of(image), tenant_id=uuid.UUID(int=2))
    assert refused(image, by_gpg(lookaside, gpg.public)).code == "image_not_signed"
