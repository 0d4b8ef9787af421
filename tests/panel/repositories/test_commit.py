"""An environment published as an image: who may, what the node is asked, and by what it pushes."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.jobs.models import Job
from panel.operations.models import OperationKind
from panel.registries import own
from panel.repositories.store import Store
from runtime.contract import PublishImage
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry").mkdir()
    monkeypatch.setattr(
        settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path, "url": "http://127.0.0.1:8080"})
    )
    return tmp_path


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


def _commit(row: Environment, role: str = "operator", **body: str) -> Any:
    headers = factories.bearer(factories.member(row.tenant, "owner"), row.tenant, role=role)
    url = f"/api/v1/environments/{row.pk}/commit"
    return Client().post(url, body, content_type="application/json", headers=headers)


def test_its_node_is_asked_by_a_pass_for_this_repository(row: Environment, home: Path) -> None:
    answer = _commit(row, name="team/web", tag="1.0")
    assert answer.status_code == 202, answer.content
    assert answer.json()["kind"] == OperationKind.COMMIT
    work = Job.objects.get(operation=answer.json()["id"]).asked.work
    assert isinstance(work, PublishImage)
    assert work.app.image == f"{own.host()}/{row.tenant.slug}/team/web:1.0"
    assert own.read_pass(work.app.registry.password) == (f"{row.tenant.slug}/team/web", True)
    assert AuditRecord.objects.get(action="environment.commit").after == {"image": work.app.image}
    assert Store(home / "registry").owners() == {row.tenant.slug: str(row.tenant_id)}
    assert work.app.registry.password not in answer.content.decode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "../other/web"}, "name"),
        ({"name": "Web"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 200}, "name"),
        ({"name": "web:1"}, "name"),
        ({"name": "web", "tag": "a b"}, "tag"),
        ({"name": "web", "tag": ""}, "tag"),
        ({"name": "web", "tag": "-x"}, "tag"),
    ],
)
def test_odd_names_are_refused(row: Environment, body: dict[str, str], field: str) -> None:
    answer = _commit(row, **body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert not Job.objects.exists()


def test_who_may_not_and_what_cannot(row: Environment, home: Path) -> None:
    assert _commit(row, "viewer", name="web").status_code == 403
    (home / "registry").rmdir()
    assert _commit(row, name="web").json()["code"] == "no_registry"
    Environment.objects.filter(pk=row.pk).update(observed_generation=0)
    assert _commit(row, name="web").json()["code"] == "not_made"
