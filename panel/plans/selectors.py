"""Reads of plans."""

from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from panel.errors import Invalid, NotFound
from panel.plans import answers
from panel.plans.models import Plan, PlanVersion
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import Limits


def limits_named(actor: Actor, slug: str) -> Limits:
    """The limits of the newest version of a plan that the actor sees; `Invalid` when there is none."""
    plan = Plan.objects.for_actor(actor).filter(slug=slug, retired_at=None).first()
    version = plan.versions.order_by("-number").first() if plan is not None else None
    if version is None:
        raise Invalid(_("There is no plan %(slug)s.") % {"slug": slug[:63]}, field="plan", code="unknown_plan")
    return version.parsed_limits


def offered_to(actor: Actor, tenant: Tenant | None) -> list[tuple[Plan, PlanVersion]]:
    """The plans that this tenant may use, each with its newest version, in their order."""
    chain = [None, *(tenant.chain if tenant is not None else ())]
    rows = Plan.objects.for_actor(actor).filter(retired_at=None).prefetch_related("versions")
    newest = ((plan, max(plan.versions.all(), key=lambda v: v.number, default=None)) for plan in rows)
    return [(plan, version) for plan, version in newest if version is not None and plan.tenant_id in chain]


def plan_of(actor: Actor, plan_id: UUID) -> Plan:
    """`NotFound` when there is none that the actor sees."""
    found = Plan.objects.for_actor(actor).select_related("tenant").filter(pk=plan_id).first()
    if found is None:
        raise NotFound(_("This plan"))
    return found


def versions_of(plan: Plan) -> QuerySet[PlanVersion]:
    """The newest first, each with how many living environments are `having` it, and `following` the plan."""
    living = Q(environments__deleted_at=None, environments__isnull=False)
    return plan.versions.order_by("-number").annotate(
        having=Count("environments", filter=living),
        following=Count("environments", filter=living & Q(environments__follows_plan=True)),
    )


def show_version(row: Any) -> answers.PlanVersion:
    """One of `versions_of`."""
    return {
        "number": row.number,
        "created_at": row.created_at.isoformat(),
        "environments": row.having,
        "following": row.following,
        "limits": row.parsed_limits.model_dump(mode="json"),
        "allowances": row.parsed_allowances.model_dump(mode="json"),
        "choices": row.parsed_choices.model_dump(mode="json"),
    }
