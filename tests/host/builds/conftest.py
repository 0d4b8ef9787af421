"""A registry beside the node with a tiny system in it, and builds as the panel asks for them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime.builds.places import BuildPlaces
from runtime.contract import (
    AppOptions,
    JobReport,
    JobSpec,
    RegistryAccess,
    Subject,
    SubjectType,
    TenantEnvelope,
)
from runtime.contract.build import BuildApp, BuildSecrets, RegistryLogin
from runtime.contract.image import ArchiveFile
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from tests.support.registry import Hub, busybox, registry

NAMED = RegistryAccess(insecure=True, inward=True)
#: Whose layers have no moment, of those buildah keeps nothing.
_HISTORY = [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}]
Build = Callable[..., JobReport]


@pytest.fixture(scope="session")
def hub(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with registry(tmp_path_factory.mktemp("hub"), ["nsenter", f"--net={node.host_network}"]) as one:
        one.push("lib/base:1", busybox(), config={"Env": ["PATH=/bin"]}, history=_HISTORY)
        yield one


def spec_of(node: Node, hub: Hub, *, source: UUID, within_s: float = 300, **fields: Any) -> JobSpec:
    build_id = uuid4()
    login = RegistryLogin(host=hub.host, access=fields.pop("access", NAMED))
    secrets = BuildSecrets(registries=(login,), push=NAMED, **fields.pop("secrets", {}))
    work = BuildApp.model_validate(
        {
            "build_id": build_id,
            "source_id": source,
            "tenant_id": UUID(int=7),
            "envelope": TenantEnvelope(cpu=2, memory_mb=1024, processes=512, disk_mb=2048),
            "app": AppOptions(image=f"{hub.host}/made/web:1"),
            "secrets": secrets.locked(build_id, key=node.report_key.read_bytes().strip()),
            "cpu": 1.0,
            "memory_mb": 256,
            "processes": 128,
            "disk_mb": 600,
            **fields,
        }
    )
    about = Subject(type=SubjectType.BUILD, id=str(source))
    return JobSpec(node=node.name, id=build_id, about=about, work=work, deadline_s=within_s)


@pytest.fixture
def source(node: Node) -> Iterator[UUID]:
    one = uuid4()
    yield one
    BuildPlaces(node, one).drop()


@pytest.fixture
def build(node: Node, hub: Hub, source: UUID) -> Build:
    if not node.report_key.exists():
        node.report_key.write_bytes(b"k" * 44)

    def run(handed: Path | None = None, **fields: Any) -> JobReport:
        if handed is not None:
            fields["archive"] = ArchiveFile(id=uuid4(), sha256="0" * 64, bytes=handed.stat().st_size)
            place = node.home / "panel" / "archives"
            place.mkdir(parents=True, exist_ok=True)
            handed.rename(place / str(fields["archive"].id))
        report = Jobs(node, KINDS).do(spec_of(node, hub, source=source, **fields))
        assert isinstance(report, JobReport)
        return report

    return run


@pytest.fixture
def log_of(node: Node, source: UUID) -> Callable[[JobReport], str]:
    return lambda report: BuildPlaces(node, source).log(report.id).read_text(errors="replace")
