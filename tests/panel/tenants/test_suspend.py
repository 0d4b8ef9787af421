"""A suspended tenant: its environments stopped or frozen, its API closed, its pages saying so."""

import json
from typing import Any

import pytest
from django.test import Client

from panel import dispatch
from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, Suspended
from panel.operations import control
from panel.operations.models import Operation
from panel.tenancy.lifecycle import resume_tenant, suspend_tenant
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, HoldTenants, JobOutcome, JobSpec, Suspension
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """What nodes are told to do."""
    told: list[JobSpec] = []
    monkeypatch.setattr(dispatch, "job_on_commit", lambda spec, **_: told.append(spec))
    return told


def suspensions(spec: JobSpec) -> dict[Any, Any]:
    work = spec.work
    assert isinstance(work, HoldTenants)
    assert work.halts
    return {one.id: one.envelope.suspended for one in work.tenants}


def call(client: Client, method: str, path: str, body: Any = None, **headers: Any) -> Any:
    return client.generic(
        method, path, json.dumps(body) if body is not None else "", content_type="application/json", **headers
    )


@pytest.mark.parametrize("how", Suspension)
def test_a_node_is_told_once_to_stop_or_freeze_it_and_all_below_and_once_to_run_it_again(
    how: Suspension, sent: list[JobSpec]
) -> None:
    node = factories.node()
    top = factories.tenant()
    child = factories.tenant(parent=top)
    made = [factories.environment(one) for one in (top, child, child)]
    count = Operation.objects.count()
    suspend_tenant(factories.administrator(), top.pk, reason="unpaid", how=how)
    (told,) = sent
    assert told.node == node.name
    assert suspensions(told) == {top.pk: how, child.pk: how}
    resume_tenant(factories.administrator(), top.pk)
    assert suspensions(sent[1]) == {top.pk: None, child.pk: None}
    assert Operation.objects.count() == count + 2
    revisions = [one.work.tenants[0].envelope.revision for one in sent if isinstance(one.work, HoldTenants)]
    assert revisions[0] < revisions[1]
    for row in made:
        assert row.generation == Environment.objects.get(pk=row.pk).generation, "nothing of its own has changed"


def test_who_comes_later_is_told_with_its_spec(sent: list[JobSpec]) -> None:
    factories.node()
    row = factories.environment(factories.tenant())
    suspend_tenant(factories.administrator(), row.tenant_id, how="freeze")
    spec = spec_of(Environment.objects.select_related("tenant", "node").get(pk=row.pk))
    (told,) = sent
    assert isinstance(told.work, HoldTenants)
    assert spec.envelope == told.work.tenants[0].envelope
    assert spec.desired is DesiredState.RUNNING, "what is wanted of it stays"


def test_a_suspension_is_one_operation_of_its_tenant(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    factories.environment(tenant)
    administrator = factories.administrator()
    suspend_tenant(administrator, tenant.pk, reason="unpaid")
    operation = Operation.objects.get(kind="suspend")
    assert (operation.subject_type, operation.subject_id) == ("tenant", str(tenant.pk))
    assert (operation.tenant_id, operation.environment_id) == (tenant.pk, None)
    assert AuditRecord.objects.get(action="tenant.suspend").operation_id == operation.pk
    factories.job_reported(operation, JobOutcome.FAILED, code="environments_failed", message="One.")
    operation.refresh_from_db()
    assert (operation.state, operation.code) == ("failed", "environments_failed")
    with pytest.raises(Forbidden):
        control.retry(factories.member(tenant), operation.pk)
    newer = control.retry(administrator, operation.pk)
    assert newer is not None
    assert not newer.can_cancel
    with pytest.raises(Conflict):
        control.cancel(administrator, newer.pk)
    factories.job_reported(newer, JobOutcome.SUCCEEDED)
    newer.refresh_from_db()
    assert newer.state == "succeeded"


def test_on_two_nodes_it_ends_with_the_last(sent: list[JobSpec]) -> None:
    tenant, places = factories.tenant(), [factories.node(), factories.node()]
    for place in places:
        factories.environment(tenant, features={"node": place.pk})
    suspend_tenant(factories.administrator(), tenant.pk)
    operation = Operation.objects.get(kind="suspend")
    first, second = sent
    assert {one.node for one in sent} == {one.name for one in places}
    factories.job_reported(operation, JobOutcome.FAILED, code="busy", message="Busy.", progress=1.0)
    operation.refresh_from_db()
    assert (operation.is_open, operation.progress) == (True, 0.5)
    assert first.id == operation.pk
    factories.job_reported(operation, JobOutcome.SUCCEEDED, job_id=second.id)
    operation.refresh_from_db()
    assert (operation.state, operation.code) == ("failed", "busy")


def test_a_quota_is_one_operation_and_one_message_whatever_it_has(sent: list[JobSpec]) -> None:
    factories.node()
    tenant = factories.tenant(quota={"memory_mb": 4096})
    for _ in range(5):
        factories.environment(tenant)
    count = Operation.objects.count()
    update_tenant(factories.administrator(), tenant.pk, quota={"memory_mb": 2048})
    (told,) = sent
    assert isinstance(told.work, HoldTenants)
    assert not told.work.halts
    assert [one.envelope.memory_mb for one in told.work.tenants] == [2048]
    assert Operation.objects.count() == count + 1
    assert Operation.objects.filter(kind="quota", subject_type="tenant").count() == 1
    update_tenant(factories.administrator(), tenant.pk, quota={"environments": 50})
    assert len(sent) == 1, "the kernel knows nothing of that"


def test_a_child_stays_suspended_while_its_parent_is() -> None:
    top = factories.tenant()
    child = factories.tenant(parent=top)
    suspend_tenant(factories.administrator(), top.pk)
    with pytest.raises(Conflict, match="resume that one first"):
        resume_tenant(factories.administrator(), child.pk)


def test_a_child_that_was_suspended_by_itself_stays_so() -> None:
    top = factories.tenant()
    child = factories.tenant(parent=top)
    suspend_tenant(factories.administrator(), child.pk, reason="abuse")
    suspend_tenant(factories.administrator(), top.pk)
    resume_tenant(factories.administrator(), top.pk)
    assert Tenant.objects.get(pk=child.pk).suspended_reason == "abuse"


def test_its_api_answers_403_with_the_reason(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    made = factories.environment(tenant)
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    suspend_tenant(factories.administrator(), tenant.pk, reason="The invoice of May is open.")
    for method, path, body in [
        ("GET", "/api/v1/environments", None),
        ("GET", f"/api/v1/environments/{made.pk}", None),
        ("POST", f"/api/v1/environments/{made.pk}/start", None),
        ("POST", "/api/v1/environments", {"name": "new", "image": "busybox", "limits": factories.LIMITS}),
        ("GET", f"/api/v1/tenants/{tenant.pk}/usage", None),
    ]:
        answer = call(client, method, path, body, headers=headers)
        assert answer.status_code == 403, (method, path)
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == "tenant_suspended"
        assert "The invoice of May is open." in problem["detail"]


def test_administrators_see_it_but_start_nothing_of_it(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    made = factories.environment(tenant)
    administrator = factories.administrator()
    suspend_tenant(administrator, tenant.pk, reason="unpaid")
    headers = factories.bearer(administrator, None, "*")
    assert (
        call(client, "GET", f"/api/v1/environments/{made.pk}", headers=headers).json()["state"] == "suspended"
    )
    assert call(client, "POST", f"/api/v1/environments/{made.pk}/start", headers=headers).status_code == 403
    with pytest.raises(Suspended, match="unpaid"):
        factories.environment(tenant)
    assert call(client, "DELETE", f"/api/v1/environments/{made.pk}", headers=headers).status_code == 202


def test_its_pages_say_so_with_the_reason(client: Client) -> None:
    tenant = factories.tenant()
    owner = factories.member(tenant)
    suspend_tenant(factories.administrator(), tenant.pk, reason="The invoice of May is open.")
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    for path in (f"/tenants/{tenant.pk}/", f"/environments/?tenant={tenant.slug}"):
        assert "The invoice of May is open." in client.get(path).content.decode(), path
