"""What builds leave: on nodes that were theirs before, of tenants that go, in the directory of archives."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from panel.builds import running
from panel.builds.models import Build, BuildSource
from panel.errors import TooMany
from panel.images import archives
from panel.jobs.models import Job
from panel.operations.models import Operation
from panel.tenancy import lifecycle
from panel.tenants.models import Tenant
from runtime.contract import JobOutcome
from runtime.contract.build import DropBuilds
from tests.panel.builds.conftest import KEY, added, call
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def _dropped_on() -> list[str]:
    rows = Job.objects.select_related("node").order_by("node__name")
    return [one.node.name for one in rows if isinstance(one.asked.work, DropBuilds)]


def _built_on_two_nodes(tenant: Tenant, home: Path) -> BuildSource:
    made = added(tenant)
    row = BuildSource.objects.get(pk=made["id"])
    for number in range(2):
        other = factories.node(f"builder-{number}", builds=True, kinds=("app",))
        (home / "etc" / "nodes" / f"{other.name}.key").write_bytes(KEY)
        BuildSource.objects.filter(pk=row.pk).update(node=other)
        answer = call(tenant, "post", f"/{row.pk}/run")
        assert answer.status_code == 202, answer.content
        operation = Operation.objects.get(pk=answer.json()["operation"])
        factories.job_reported(operation, JobOutcome.FAILED, code="x")
    return row


def test_every_node_that_built_it_drops_what_it_keeps(tenant: Tenant, home: Path) -> None:
    row = _built_on_two_nodes(tenant, home)
    assert call(tenant, "delete", f"/{row.pk}").status_code == 204
    assert _dropped_on() == ["builder-0", "builder-1"]


def test_a_tenant_that_goes_leaves_no_layers(tenant: Tenant, home: Path) -> None:
    _built_on_two_nodes(tenant, home)
    Tenant.objects.filter(pk=tenant.pk).update(delete_at=timezone.now())
    assert lifecycle.delete_due() == 0
    assert _dropped_on() == ["builder-0", "builder-1"]
    operation = Operation.objects.get(kind="delete", subject_type="build")
    for job in operation.jobs.all():
        factories.job_reported(operation, JobOutcome.SUCCEEDED, job_id=job.pk)
    assert lifecycle.delete_due() == 1
    assert not Tenant.objects.filter(pk=tenant.pk).exists()


@pytest.fixture
def kept() -> Iterator[Path]:
    """Where archives lie; empty."""
    place = archives.directory()
    for one in place.iterdir():
        one.unlink()
    yield place


def _old(file: Path) -> Path:
    os.utime(file, (1, 1))
    return file


def test_a_context_whose_build_waits_is_not_swept_away(tenant: Tenant, kept: Path) -> None:
    made = added(tenant, git=None)
    headers = factories.bearer(factories.member(tenant, "owner"), tenant, role="operator")
    answer = Client().post(
        f"/api/v1/builds/{made['id']}/context", b"x" * 10, content_type="application/x-tar", headers=headers
    )
    assert answer.status_code == 202, answer.content
    build = Build.objects.get()
    file = _old(kept / str(build.archive))
    assert archives.sweep() == 0
    assert file.exists()
    factories.job_reported(build.operation, JobOutcome.FAILED, code="x")
    file.write_bytes(b"left")
    _old(file)
    assert archives.sweep() == 1


def test_one_that_arrives_is_not_swept_away_by_a_clock_that_was_set(kept: Path) -> None:
    with archives.intake() as coming:
        coming.write(b"some of it")
        _old(next(kept.glob(".*.part")))
        assert archives.sweep() == 0
        file = kept / str(coming.finish().id)
    file.unlink()
    stray = kept / f".{uuid4()}.part"
    stray.write_bytes(b"of a process that died")
    _old(stray)
    assert archives.sweep() == 1


def test_an_owner_that_comes_while_it_is_swept_is_heard(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kept / str(uuid4())
    listed: Any = Path.iterdir
    owners: list[Any] = []

    def late(place: Path) -> Any:
        found = list(listed(place))
        if place == kept:
            file.write_bytes(b"x")
            found.append(_old(file))
            owners.append(file.name)
        return found

    monkeypatch.setattr(archives, "_OWNERS", [lambda: owners])
    monkeypatch.setattr(Path, "iterdir", late)
    assert archives.sweep() == 0


def test_a_tenants_contexts_leave_places_to_others(tenant: Tenant) -> None:
    made = added(tenant, git=None)
    people = [factories.member(tenant, "owner") for _ in range(8)]
    places = []
    refused = threading.Event()
    for one in people:
        try:
            places.append(running.coming_in(one, made["id"]))
        except TooMany:
            refused.set()
    assert len(places) == 2
    assert refused.is_set()
    other = factories.tenant()
    theirs = added(other, git=None)
    places.append(running.coming_in(factories.member(other, "owner"), theirs["id"]))
    for place in places:
        place.give_back()
    assert running.CONTEXTS.taken == 0
