"""A change that was meant for what its asker has read is refused when somebody was quicker (R06)."""

from typing import Any

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.plans.services import create_plan
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


@pytest.fixture
def provider() -> tuple[str, str, dict[str, str]]:
    """Paths of a plan and a node, and an administrator's token."""
    who = factories.administrator()
    plan = create_plan(who, name="Small", limits=factories.LIMITS)
    return f"/plans/{plan.pk}", f"/nodes/{factories.node().pk}", factories.bearer(who, None, "*")


def test_a_plan_is_changed_once_per_revision(provider: tuple[str, str, dict[str, str]]) -> None:
    path, _, bearer = provider
    read = _asked("GET", path, "", None, bearer).json()["revision"]
    renamed = _asked("PATCH", path, '{"name": "First"}', f'"{read}"', bearer).json()
    assert (renamed["revision"], renamed["version"]) == (read + 1, 1), "a name makes no version of the terms"
    late = _asked("PATCH", path, '{"name": "Second", "limits": {"memory_mb": 80}}', read, bearer)
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    assert late["Content-Type"] == "application/problem+json"
    assert _asked("DELETE", path, "", read, bearer).status_code == 412
    now = _asked("GET", path, "", None, bearer).json()
    assert (now["name"], now["revision"], len(now["versions"])) == ("First", read + 1, 1)
    assert _asked("GET", "/plans", "", None, bearer).json()["items"], "it isn't retired"
    assert _asked("PATCH", path, '{"limits": {"memory_mb": 80}}', read + 1, bearer).json()["version"] == 2
    assert _asked("PATCH", path, '{"name": "Third"}', None, bearer).status_code == 200
    assert _asked("DELETE", path, "", read + 3, bearer).status_code == 204
    assert _asked("PATCH", path, '{"name": "Fourth"}', read + 3, bearer).status_code == 412, "retiring counts"


def test_a_node_is_changed_once_per_version(provider: tuple[str, str, dict[str, str]]) -> None:
    _, path, bearer = provider
    seen = _asked("GET", path, "", None, bearer).json()
    read = seen["version"]
    factories.node(seen["name"])
    assert _asked("GET", path, "", None, bearer).json()["version"] == read, "a report is no change"
    assert _asked("PATCH", path, '{"overcommit": {"cpu": 4}}', read, bearer).json()["version"] == read + 1
    late = _asked("PATCH", path, '{"overcommit": {"cpu": 8}, "state": "draining"}', read, bearer)
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    now = _asked("GET", path, "", None, bearer).json()
    assert (now["overcommit"]["cpu"], now["state"], now["version"]) == (4, "enabled", read + 1)
    assert _asked("PATCH", path, '{"state": "draining"}', read + 1, bearer).json()["state"] == "draining"
    assert _asked("PATCH", path, '{"state": "enabled"}', None, bearer).json()["version"] == read + 3


@pytest.mark.parametrize(
    "body", ['{"overcommit": {"cpu": 4}, "state": "asleep"}', '{"state": "draining", "overcommit": {"cpu": 0}}']
)
def test_a_node_is_changed_as_a_whole_or_not(provider: tuple[str, str, dict[str, str]], body: str) -> None:
    _, path, bearer = provider
    before = _asked("GET", path, "", None, bearer).json()
    assert _asked("PATCH", path, body, None, bearer).status_code == 422
    assert _asked("GET", path, "", None, bearer).json() == before
    assert not AuditRecord.objects.filter(action__in=("node.overcommit", "node.change")).exists()


def test_the_forms_of_plans_and_overcommit_send_what_was_read(
    provider: tuple[str, str, dict[str, str]],
) -> None:
    plan, node, bearer = provider
    browser = Client()
    who = factories.administrator().user
    browser.force_login(who, "allauth.account.auth_backends.AuthenticationBackend")
    form = {**factories.LIMITS, "traffic_action": "slow", "cpu_weight": 100, "revision": 1}
    assert 'name="revision" value="1"' in browser.get(f"{plan}/").content.decode()
    assert browser.post(f"{plan}/", {**form, "name": "First"}).status_code == 302
    late = browser.post(f"{plan}/", {**form, "name": "Second"})
    assert late.status_code == 412
    text = late.content.decode()
    assert "changed by somebody else" in text and 'value="Second"' in text, "what was typed is kept"
    assert _asked("GET", plan, "", None, bearer).json()["name"] == "First"

    assert 'name="version" value="1"' in browser.get("/capacity/").content.decode()
    assert browser.post(f"{node}/overcommit", {"cpu": "4", "version": "1"}).status_code == 302
    late = browser.post(f"{node}/overcommit", {"cpu": "8", "version": "1"}, follow=True)
    assert "changed by somebody else" in late.content.decode()
    assert _asked("GET", node, "", None, bearer).json()["overcommit"]["cpu"] == 4


def test_what_is_no_version_is_refused(place: tuple[str, str, dict[str, str]]) -> None:
    path, _, bearer = place
    refused = _asked("PATCH", path, '{"description": "x"}', "yesterday", bearer)
    assert (refused.status_code, refused.json()["field"]) == (422, "If-Match")
