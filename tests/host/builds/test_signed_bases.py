"""Nothing is built on what isn't signed by the key that its registry is named with."""

from pathlib import Path

from runtime.contract import JobOutcome, RegistryAccess, SignaturePolicy
from tests.host.builds.conftest import Build
from tests.support.registry import Hub, busybox
from tests.support.signing import Gpg

_HISTORY = [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}]


def test_a_base_that_has_to_be_signed(build: Build, hub: Hub, tmp_path: Path) -> None:
    base = hub.push("lib/signed:1", busybox(), config={"Env": ["PATH=/bin"]}, history=_HISTORY)
    key = Gpg.new(tmp_path)
    with key.served(hub.enter) as place:
        where = {"lookaside": place, "insecure": True, "inward": True}
        policy = SignaturePolicy.model_validate({"kind": "gpg", "key": key.public, **where})
        access = RegistryAccess(insecure=True, inward=True, signatures=(policy,))
        text = f"FROM {base}\nRUN echo one\n"
        assert build(dockerfile_text=text, access=access).outcome is JobOutcome.FAILED
        key.sign(hub, base)
        report = build(dockerfile_text=text, access=access)
        assert report.outcome is JobOutcome.SUCCEEDED, report.message.told()
