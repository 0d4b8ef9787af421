"""A change that was meant for what its asker has read is refused when somebody was quicker (R06)."""

from typing import Any

import pytest
from django.test import Client

from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def _asked(method: str, path: str, body: Any, version: object, headers: dict[str, str]) -> Any:
    sent = {**headers, **({} if version is None else {"If-Match": str(version)})}
    return Client().generic(method, f"/api/v1{path}", body, "application/json", headers=sent)


@pytest.fixture
def place() -> tuple[str, str, dict[str, str]]:
    """Paths of an environment and its tenant, and an owner's token."""
    factories.node()
    tenant = factories.tenant()
    environment = factories.environment(tenant)
    bearer = factories.bearer(factories.member(tenant), tenant, role="owner")
    return f"/environments/{environment.pk}", f"/tenants/{tenant.pk}", bearer


@pytest.mark.parametrize("body", ['{"description": "mine"}', '{"limits": {"memory_mb": 80}}'])
def test_an_environment_is_changed_once_per_version(place: tuple[str, str, dict[str, str]], body: str) -> None:
    path, _, bearer = place
    read = _asked("GET", path, "", None, bearer).json()["version"]
    assert _asked("PATCH", path, body, f'"{read}"', bearer).status_code == 202
    late = _asked("PATCH", path, '{"description": "theirs"}', read, bearer)
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    now = _asked("GET", path, "", None, bearer).json()
    assert now["version"] == read + 1
    assert now["description"] != "theirs"
    assert _asked("PATCH", path, '{"description": "theirs"}', read + 1, bearer).status_code == 202


def test_an_environment_that_was_changed_meanwhile_is_not_deleted(
    place: tuple[str, str, dict[str, str]],
) -> None:
    path, _, bearer = place
    assert _asked("PATCH", path, '{"description": "keep me"}', None, bearer).status_code == 202
    assert _asked("DELETE", path, "", 1, bearer).status_code == 412
    assert _asked("DELETE", path, "", "*", bearer).status_code == 202


def test_a_tenant_is_changed_once_per_version(place: tuple[str, str, dict[str, str]]) -> None:
    _, path, bearer = place
    read = _asked("GET", path, "", None, bearer).json()["version"]
    assert _asked("PATCH", path, '{"name": "First"}', read, bearer).json()["version"] == read + 1
    late = _asked("PATCH", path, '{"name": "Second"}', read, bearer)
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    assert _asked("GET", path, "", None, bearer).json()["name"] == "First"


def test_a_tenant_that_was_changed_meanwhile_is_neither_deleted_nor_suspended(
    place: tuple[str, str, dict[str, str]],
) -> None:
    _, path, bearer = place
    above = factories.bearer(factories.administrator(), None, "*")
    read = _asked("GET", path, "", None, above).json()["version"]
    assert _asked("PATCH", path, '{"name": "Kept"}', read, bearer).status_code == 200
    for method, deed in (
        ("DELETE", ""),
        ("POST", "/suspend"),
        ("POST", "/resume"),
        ("POST", "/cancel-deletion"),
    ):
        assert _asked(method, path + deed, "", read, above).status_code == 412, deed
    seen = _asked("GET", path, "", None, above).json()
    assert (seen["state"], seen["delete_at"], seen["version"]) == ("active", None, read + 1)
    assert _asked("DELETE", path, "", read + 1, above).status_code == 202


def test_what_is_no_version_is_refused(place: tuple[str, str, dict[str, str]]) -> None:
    path, _, bearer = place
    refused = _asked("PATCH", path, '{"description": "x"}', "yesterday", bearer)
    assert (refused.status_code, refused.json()["field"]) == (422, "If-Match")
