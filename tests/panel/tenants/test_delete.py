"""Deleting a tenant: not before the waiting time, kept when asked, and then nothing is left of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import models
from django.test import override_settings
from django.utils import timezone

from panel.audit.models import AuditHead, AuditRecord
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.environments.tasks import release
from panel.errors import Conflict, Forbidden
from panel.networks.forwards import add_forward
from panel.people.members import set_member
from panel.people.roles import create_role
from panel.plans.services import create_plan
from panel.tenancy.lifecycle import (
    cancel_deletion,
    delete_due,
    resume_tenant,
    schedule_deletion,
    suspend_tenant,
)
from panel.tenants.models import Tenant, TenantState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_rest(settings: Any) -> Any:
    """User ids rest for a day after a deletion; here they don't."""
    with override_settings(WADAH=settings.WADAH.model_copy(update={"slot_cooldown_s": 0})):
        yield


def mentions(ids: set[UUID]) -> list[str]:
    """Every row of every model that names one of these, the audit's apart."""
    texts = {str(one) for one in ids} | {one.hex for one in ids}
    found = []
    for model in apps.get_models():
        if model in (AuditRecord, AuditHead):
            continue
        for row in model._default_manager.all():
            for field in model._meta.concrete_fields:
                value = str(field.value_from_object(row))
                is_inside = isinstance(field, models.TextField) and any(one.hex in value for one in ids)
                if is_inside or value in texts:
                    found.append(f"{model.__name__}.{field.name}")
    return found


def test_it_waits_suspended_and_can_be_kept() -> None:
    factories.node()
    tenant = factories.tenant()
    factories.environment(tenant)
    administrator = factories.administrator()
    row = schedule_deletion(administrator, tenant.pk, wait_s=3600)
    assert row.state == TenantState.SUSPENDED and row.delete_at is not None
    assert timedelta(minutes=59) < row.delete_at - timezone.now() <= timedelta(hours=1)
    with pytest.raises(Conflict, match="take the deletion back first"):
        resume_tenant(administrator, tenant.pk)
    assert delete_due() == 0 and Environment.objects.living().count() == 1
    row = cancel_deletion(administrator, tenant.pk)
    assert row.state == TenantState.ACTIVE and row.delete_at is None


def test_one_that_was_suspended_before_stays_so_when_it_is_kept() -> None:
    tenant = factories.tenant()
    suspend_tenant(factories.administrator(), tenant.pk, reason="abuse")
    schedule_deletion(factories.administrator(), tenant.pk)
    row = cancel_deletion(factories.administrator(), tenant.pk)
    assert (row.state, row.suspended_reason) == (TenantState.SUSPENDED, "abuse")


def test_its_owner_does_not_delete_it_but_the_owner_above_does() -> None:
    top = factories.tenant()
    child = factories.tenant(parent=top)
    with pytest.raises(Forbidden):
        schedule_deletion(factories.member(child), child.pk)
    assert schedule_deletion(factories.member(top), child.pk).delete_at is not None


def test_when_the_time_is_over_nothing_is_left_of_it_and_all_below() -> None:
    factories.node()
    administrator = factories.administrator()
    top = factories.tenant()
    doomed = factories.tenant(parent=top, quota={"memory_mb": 1000})
    below = factories.tenant(parent=doomed)
    owner = factories.member(doomed)
    rows = [factories.environment(doomed), factories.environment(below)]
    gone_before = factories.environment(doomed)
    add_forward(owner, rows[0].pk, port=80)
    factories.reported(rows[0])
    delete_environment(owner, gone_before.pk)
    factories.gone(gone_before)
    factories.bearer(owner, doomed, role="viewer")
    role = create_role(owner, doomed, name="readers", permissions=["environment.view"])
    set_member(owner, doomed, factories.person(), role="custom", custom=role)
    create_plan(administrator, name="Theirs", limits=factories.LIMITS, tenant=doomed)
    ids = {doomed.pk, below.pk, *(row.pk for row in [*rows, gone_before])}
    assert len(mentions(ids)) > 20, "the search sees what is there"

    schedule_deletion(administrator, doomed.pk, wait_s=0)
    with pytest.raises(Conflict, match="waiting time is over"):
        cancel_deletion(administrator, doomed.pk)
    assert delete_due() == 0, "nodes still hold its environments"
    for row in rows:
        factories.gone(row)
    release()
    assert delete_due() == 2
    assert mentions(ids) == []
    assert Tenant.objects.filter(pk=top.pk).exists()
    assert delete_due() == 0
    last = AuditRecord.objects.filter(chain=doomed.pk).latest("sequence")
    assert (last.action, last.target_name) == ("tenant.delete", str(doomed))


def test_user_ids_rest_before_the_rows_go(settings: Any) -> None:
    with override_settings(WADAH=settings.WADAH.model_copy(update={"slot_cooldown_s": 86_400})):
        factories.node()
        tenant = factories.tenant()
        row = factories.environment(tenant)
        schedule_deletion(factories.administrator(), tenant.pk, wait_s=0)
        delete_due()
        factories.gone(row)
        release()
        assert delete_due() == 0
        assert Environment.objects.get(pk=row.pk).slot is not None, "nobody else may get these ids yet"
