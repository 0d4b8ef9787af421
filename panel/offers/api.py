"""/api/v1/plans"""

from typing import Annotated, cast

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input, Naming, in_part
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.http.versions import expected_version
from panel.offers import answers
from panel.offers.preview import preview_update
from panel.plans import answers as terms
from panel.plans import services
from panel.plans.models import Plan
from panel.plans.selectors import plan_of, show_version, versions_of
from panel.plans.terms import Allowances, Choices
from panel.rights.asking import actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import tenant_of
from runtime.contract import Limits

router = Router()


class NewPlan(Input):
    name: str
    limits: Annotated[Json, CheckedAs(Limits)]
    allowances: Annotated[Json, CheckedAs(in_part(Allowances))] = Field(default_factory=dict)
    choices: Annotated[Json, CheckedAs(in_part(Choices))] = Field(default_factory=dict)
    slug: str = ""
    description: str = ""
    tenant: Naming | None = None
    position: int = 0


class ChangedPlan(Input):
    name: str | None = None
    description: str | None = None
    position: int | None = None
    limits: Annotated[Json, CheckedAs(in_part(Limits))] | None = None
    allowances: Annotated[Json, CheckedAs(in_part(Allowances))] | None = None
    choices: Annotated[Json, CheckedAs(in_part(Choices))] | None = None


def show(row: Plan) -> terms.Plan:
    version = row.versions.first()
    return {
        "id": str(row.pk),
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "position": row.position,
        "revision": row.revision,
        "version": version.number if version else 0,
        "limits": version.limits if version else {},
        "allowances": version.parsed_allowances.model_dump(mode="json") if version else {},
        "choices": version.parsed_choices.model_dump(mode="json") if version else {},
        "tenant": str(row.tenant_id) if row.tenant_id else None,
    }


@router.get("", response=ListOf[terms.Plan], operation_id="plans_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[terms.Plan]:
    return page_of(Plan.objects.for_actor(actor(request)).filter(retired_at=None), page, show)


@router.post("", response={201: terms.Plan}, operation_id="plans_create")
def create(request: HttpRequest, payload: NewPlan) -> Status[terms.Plan]:
    who = actor(request)
    tenant = tenant_of(who, payload.tenant) if payload.tenant else None
    row = services.create_plan(who, tenant=tenant, **payload.model_dump(exclude={"tenant"}))
    return Status(201, show(row))


@router.get("/{pk}", response=terms.OnePlan, operation_id="plans_get")
def get(request: HttpRequest, pk: str) -> terms.OnePlan:
    """With `versions` for who manages plans: what each gives, and how many environments have it."""
    who = actor(request)
    row = plan_of(who, uuid_of(pk, "This plan"))
    if not who.can(Permission.PLAN_MANAGE):
        return cast("terms.OnePlan", show(row))
    return {**show(row), "versions": [show_version(one) for one in versions_of(row)]}


@router.patch("/{pk}", response=terms.Plan, operation_id="plans_update")
def update(request: HttpRequest, pk: str, payload: ChangedPlan) -> terms.Plan:
    """`If-Match` with the `revision` that you have read: 412 when it was changed since."""
    changes, revision = payload.model_dump(exclude_unset=True), expected_version(request)
    return show(services.update_plan(actor(request), uuid_of(pk, "This plan"), changes, revision))


@router.post("/{pk}/preview", response=answers.PlanPreview, operation_id="plans_preview")
def preview(request: HttpRequest, pk: str, payload: ChangedPlan) -> answers.PlanPreview:
    """What the same body would do as a PATCH: who gets it, who can't and why, who keeps his version."""
    changes = payload.model_dump(exclude_unset=True)
    return preview_update(actor(request), uuid_of(pk, "This plan"), changes)


@router.delete("/{pk}", response={204: None}, operation_id="plans_retire")
def retire(request: HttpRequest, pk: str) -> Status[None]:
    """`If-Match` with the `revision` that you have read: 412 when it was changed since."""
    services.retire_plan(actor(request), uuid_of(pk, "This plan"), expected_version(request))
    return Status(204, None)
