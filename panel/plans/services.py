"""Plans: made and changed by administrators of the installation; a change is a new version."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from panel import events
from panel.accounts.actor import Actor
from panel.audit.services import record
from panel.environments.inputs import parse_limits
from panel.errors import Conflict, Invalid, NotFound
from panel.plans.models import Plan, PlanVersion
from panel.tenants.models import Tenant
from panel.tenants.permissions import Permission
from panel.tenants.services import slug_of
from runtime.contract.base import NAME


def create_plan(
    actor: Actor,
    *,
    name: str,
    limits: Mapping[str, Any],
    slug: str = "",
    description: str = "",
    tenant: Tenant | None = None,
    position: int = 0,
) -> Plan:
    actor.require(Permission.PLAN_MANAGE, tenant)
    wanted = slug or slug_of(name)
    if not NAME.fullmatch(wanted):
        raise Invalid("A slug has 1 to 63 lower-case letters, digits and hyphens.", field="slug")
    if not name.strip() or len(name) > 120 or len(description) > 400:
        raise Invalid("A plan has a name of 1 to 120 characters, and at most 400 of description.", field="name")
    parsed = parse_limits(limits).model_dump(mode="json")
    with transaction.atomic():
        if Plan.objects.filter(slug=wanted).exists():
            raise Conflict(f"There is a plan {wanted} already.", code="name_taken", field="slug")
        plan = Plan.objects.create(
            name=name.strip(), slug=wanted, description=description, tenant=tenant, position=position
        )
        PlanVersion.objects.create(plan=plan, number=1, limits=parsed)
        record(
            actor,
            "plan.create",
            tenant_id=tenant.pk if tenant else None,
            target=plan,
            after={"limits": parsed},
        )
        events.publish_to_all("plan", plan.pk)
    return plan


def update_plan(actor: Actor, plan_id: UUID, changes: Mapping[str, Any]) -> Plan:
    """`name`, `description`, `position`, and `limits`, which makes a new version for new environments."""
    with transaction.atomic():
        plan = _locked(actor, plan_id)
        for field in ("name", "description", "position"):
            if changes.get(field) is not None:
                setattr(plan, field, changes[field])
        plan.save()
        if changes.get("limits"):
            last = plan.versions.order_by("-number").first()
            merged = {**(last.limits if last else {}), **changes["limits"]}
            parsed = parse_limits(merged).model_dump(mode="json")
            number = last.number + 1 if last else 1
            PlanVersion.objects.create(plan=plan, number=number, limits=parsed)
        record(actor, "plan.change", tenant_id=plan.tenant_id, target=plan, after=dict(changes))
        events.publish_to_all("plan", plan.pk)
    return plan


def retire_plan(actor: Actor, plan_id: UUID) -> Plan:
    """Nothing new gets it; what has it keeps it. Asked again: a no-op."""
    with transaction.atomic():
        plan = _locked(actor, plan_id)
        if plan.retired_at is None:
            plan.retired_at = timezone.now()
            plan.save(update_fields=["retired_at"])
            record(actor, "plan.retire", tenant_id=plan.tenant_id, target=plan)
            events.publish_to_all("plan", plan.pk)
    return plan


def _locked(actor: Actor, plan_id: UUID) -> Plan:
    plan = Plan.objects.for_actor(actor).select_for_update().filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("This plan")
    actor.require(Permission.PLAN_MANAGE, plan.tenant)
    return plan
