"""/api/v1/tenants"""

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.http.pages import Page, page_of
from panel.http.versions import expected_version
from panel.quotas.services import limits_of
from panel.rights.asking import actor
from panel.rights.permissions import Permission
from panel.tenancy import answers, lifecycle, services
from panel.tenancy.preview import preview_limits
from panel.tenancy.usage import show_taker, takers, usage_of
from panel.tenants import selectors
from panel.tenants.answers import OneTenant
from panel.tenants.answers import Tenant as ShownTenant
from panel.tenants.models import Tenant

router = Router()


class NewTenant(Input):
    name: str
    slug: str = ""
    parent: Naming | None = None
    quota: dict[str, float | None] = {}
    trash_days: int = Field(
        default=0, description="How long what is deleted can be brought back; 0: not at all."
    )


class ChangedTenant(Input):
    name: str | None = None
    time_zone: str | None = None
    quota: dict[str, float | None] = {}
    soft: dict[str, float | None] = {}
    grace_s: dict[str, int] = {}
    overbook: dict[str, float] = {}
    must_use_plans: bool = False
    trash_days: int | None = Field(default=None, description="Of what is deleted from now on.")
    requires_mfa: bool | None = Field(default=None, description="Of its people and those of tenants below it.")


class Preview(Input):
    quota: dict[str, float | None]


class Suspend(Input):
    reason: str = ""
    how: str = "stop"


def _show(row: Tenant) -> OneTenant:
    return {**selectors.show(row), "quota": limits_of(row)}


@router.get("", response=ListOf[ShownTenant], operation_id="tenants_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[ShownTenant]:
    return page_of(Tenant.objects.for_actor(actor(request)).order_by("name", "id"), page, selectors.show)


@router.post("", response={201: OneTenant}, operation_id="tenants_create")
def create(request: HttpRequest, payload: NewTenant) -> Status[OneTenant]:
    who = actor(request)
    parent = selectors.tenant_of(who, payload.parent) if payload.parent else None
    values = payload.model_dump(exclude={"parent"})
    row = services.create_tenant(who, parent=parent, **values)
    return Status(201, _show(row))


@router.get("/{pk}", response=OneTenant, operation_id="tenants_get")
def get(request: HttpRequest, pk: str) -> OneTenant:
    return _show(selectors.tenant_of(actor(request), pk))


@router.patch("/{pk}", response=OneTenant, operation_id="tenants_update")
def update(request: HttpRequest, pk: str, payload: ChangedTenant) -> OneTenant:
    """`If-Match` with the version that you have read: 412 when it was changed since."""
    who = actor(request)
    changes = payload.model_dump(exclude_unset=True)
    tenant, version = selectors.tenant_of(who, pk), expected_version(request)
    return _show(services.update_tenant(who, tenant.pk, version=version, **changes))


@router.post("/{pk}/quota/preview", response=answers.QuotaPreview, operation_id="tenants_preview_quota")
def preview_quota(request: HttpRequest, pk: str, payload: Preview) -> answers.QuotaPreview:
    """What the same quota would mean as a PATCH: what would not fit, and whether the tenant above has room."""
    who = actor(request)
    row = selectors.tenant_of(who, pk)
    who.require(Permission.TENANT_QUOTA, row)
    return preview_limits(row, payload.quota)


@router.get("/{pk}/environments", response=ListOf[answers.Taker], operation_id="tenants_environments_usage")
def environments(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[answers.Taker]:
    """What each environment of the tenant itself takes and uses, the largest memory first."""
    who = actor(request)
    row = selectors.tenant_of(who, pk)
    who.require(Permission.USAGE_VIEW, row)
    return page_of(takers(row), page, show_taker)


@router.post("/{pk}/suspend", response=OneTenant, operation_id="tenants_suspend")
def suspend(request: HttpRequest, pk: str, payload: Suspend | None = None) -> OneTenant:
    who = actor(request)
    values = (payload or Suspend()).model_dump()
    tenant, version = selectors.tenant_of(who, pk), expected_version(request)
    return _show(lifecycle.suspend_tenant(who, tenant.pk, version=version, **values))


@router.post("/{pk}/resume", response=OneTenant, operation_id="tenants_resume")
def resume(request: HttpRequest, pk: str) -> OneTenant:
    who = actor(request)
    tenant, version = selectors.tenant_of(who, pk), expected_version(request)
    return _show(lifecycle.resume_tenant(who, tenant.pk, version=version))


@router.delete("/{pk}", response={202: OneTenant}, operation_id="tenants_delete")
def delete(request: HttpRequest, pk: str, wait_s: int | None = None) -> Status[OneTenant]:
    """Suspended now, deleted with all that it owns after the waiting time; `delete_at` says when.

    `If-Match` with the version that you have read: 412 when it was changed since.
    """
    who = actor(request)
    tenant, version = selectors.tenant_of(who, pk), expected_version(request)
    return Status(202, _show(lifecycle.schedule_deletion(who, tenant.pk, wait_s=wait_s, version=version)))


@router.post("/{pk}/cancel-deletion", response=OneTenant, operation_id="tenants_cancel_deletion")
def cancel_deletion(request: HttpRequest, pk: str) -> OneTenant:
    who = actor(request)
    tenant, version = selectors.tenant_of(who, pk), expected_version(request)
    return _show(lifecycle.cancel_deletion(who, tenant.pk, version=version))


@router.get("/{pk}/usage", response=dict[str, answers.ResourceUsage], operation_id="tenants_usage")
def usage(request: HttpRequest, pk: str) -> dict[str, answers.ResourceUsage]:
    """Per resource: limit, soft, reserved, used, highest, highest_used, hits, alert, overbook."""
    who = actor(request)
    row = selectors.tenant_of(who, pk)
    who.require(Permission.USAGE_VIEW, row)
    return usage_of(row)
