"""What builds take of the disk and of the node: whose it is, and what is left of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime.builds import places as builds
from runtime.builds.places import BuildPlaces
from runtime.contract import JobOutcome, TenantEnvelope
from runtime.contract.image import ArchiveFile
from runtime.host import btrfs
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from runtime.storage.volumes import number_of
from tests.host.builds.conftest import Build, spec_of
from tests.support.registry import Hub

SMALL = TenantEnvelope(revision=1, cpu=2, memory_mb=1024, processes=512, disk_mb=96)


@pytest.fixture
def tenant(node: Node) -> UUID:
    return uuid4()


def test_what_builds_keep_is_their_tenants(
    build: Build, hub: Hub, node: Node, source: UUID, tenant: UUID
) -> None:
    text = f"FROM {hub.host}/lib/base:1\nRUN dd if=/dev/urandom of=/big bs=1048576 count=20\n"
    report = build(dockerfile_text=text, tenant_id=tenant, disk_mb=600)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message.told()
    btrfs.sync(node.store)
    table = btrfs.QuotaTable(btrfs.file_system_uuid(node.store))
    assert (table.used_bytes(2, number_of(tenant)) or 0) > 20 * 2**20


def test_many_sources_hold_no_more_than_their_tenant_may(
    build: Build, hub: Hub, node: Node, source: UUID, tenant: UUID
) -> None:
    """Each of a size that one alone may have."""
    more = [uuid4() for _ in range(3)]
    text = f"FROM {hub.host}/lib/base:1\nRUN dd if=/dev/urandom of=/big bs=1048576 count=30\n"
    reports = []
    try:
        for one in more:
            spec = spec_of(
                node, hub, source=one, dockerfile_text=text, tenant_id=tenant, envelope=SMALL, disk_mb=600
            )
            reports.append(Jobs(node, KINDS).do(spec))
            btrfs.sync(node.store)
        assert [one.outcome for one in reports][-1] is JobOutcome.FAILED
        assert reports[-1].code == "disk_full", reports[-1].message.told()
        assert reports[-1].message.told()["code"] == "builds.tenant_full"
    finally:
        for one in more:
            BuildPlaces(node, one).drop()
    assert not [one for one in more if BuildPlaces(node, one).directory.exists()]


def test_an_archive_that_becomes_a_link_changes_nothing_of_the_host(
    build: Build, node: Node, hub: Hub, source: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is the panel's user exchanges it between any two looks."""
    secret = tmp_path / "shadow"
    secret.write_bytes(b"of root alone")
    secret.chmod(0o600)
    place = node.home / "panel" / "archives"
    place.mkdir(parents=True, exist_ok=True)
    handed = place / str(uuid4())
    handed.symlink_to(secret)
    looked: Callable[[Path], bool] = Path.is_symlink
    monkeypatch.setattr(Path, "is_symlink", lambda path: path != handed and looked(path))
    archive = ArchiveFile(id=UUID(handed.name), sha256="0" * 64, bytes=secret.stat().st_size)
    report: Any = Jobs(node, KINDS).do(spec_of(node, hub, source=source, archive=archive))
    assert report.code == "archive_missing", report.message.told()
    assert secret.stat().st_mode & 0o777 == 0o600


def test_what_nothing_was_built_of_for_long_goes(node: Node, source: UUID) -> None:
    kept, old = BuildPlaces(node, source), BuildPlaces(node, uuid4())
    for one in (kept, old):
        one.prepare(tenant_id=uuid4(), tenant_mb=64, disk_mb=192, is_fresh=False)
    (old.notes / "used").write_text("1")
    assert builds.sweep(node) == 1
    assert not old.directory.exists()
    assert not old.notes.exists()
    assert btrfs.is_subvolume(kept.cache)
    assert builds.sweep(node) == 0
