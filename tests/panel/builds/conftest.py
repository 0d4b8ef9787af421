"""An installation with a registry and a node that builds."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from panel.tenants.models import Tenant
from tests.panel.support import factories

GIT = {"url": "https://git.example.org/acme/web.git", "branch": "main"}
KEY = b"k" * 44


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> Path:
    (tmp_path / "registry").mkdir()
    (tmp_path / "etc" / "nodes").mkdir(parents=True)
    monkeypatch.setattr(
        settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path, "url": "http://127.0.0.1:8080"})
    )
    node = factories.node(builds=True, kinds=("system", "app"))
    (tmp_path / "etc" / "nodes" / f"{node.name}.key").write_bytes(KEY)
    return tmp_path


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant()


def call(tenant: Tenant, method: str, path: str = "", body: Any = None, role: str = "operator") -> Any:
    headers = factories.bearer(factories.member(tenant, "owner"), tenant, role=role)
    ask = getattr(Client(), method)
    return ask(f"/api/v1/builds{path}", body, content_type="application/json", headers=headers)


def added(tenant: Tenant, **body: Any) -> dict[str, Any]:
    answer = call(tenant, "post", "", {"tenant": str(tenant.pk), "name": "web", "git": GIT, **body})
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found
