"""Plans: made and changed by administrators of the installation; a change of what it gives is a new version."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.audit.services import record
from panel.contract_input import parse, parse_limits
from panel.errors import Conflict, Invalid, NotFound, Stale
from panel.plans.models import Plan, PlanVersion
from panel.plans.offered import refuse_what_no_node_has
from panel.plans.terms import Allowances, Choices
from panel.plans.versions import tell_of_version
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.text import line, paragraphs, slug_of
from runtime.contract.base import NAME

#: What makes a new version when it changes.
TERMS = ("limits", "allowances", "choices")
MOST_POSITION = 10_000


def create_plan(
    actor: Actor,
    *,
    name: str,
    limits: Mapping[str, Any],
    allowances: Mapping[str, Any] | None = None,
    choices: Mapping[str, Any] | None = None,
    slug: str = "",
    description: str = "",
    tenant: Tenant | None = None,
    position: int = 0,
) -> Plan:
    """A plan with its first version; for everybody, or for `tenant` and those below it."""
    actor.require(Permission.PLAN_MANAGE, tenant)
    wanted = slug or slug_of(name)
    if not NAME.fullmatch(wanted):
        raise Invalid(_("A slug has 1 to 63 lower-case letters, digits and hyphens."), field="slug")
    name, description = _check_text(name, description)
    _check_position(position)
    terms = parse_terms({"limits": limits, "allowances": allowances or {}, "choices": choices or {}})
    refuse_what_no_node_has(terms["choices"], {})
    with transaction.atomic():
        if Plan.objects.filter(slug=wanted).exists():
            raise Conflict(
                _("There is a plan %(wanted)s already.") % {"wanted": wanted}, code="name_taken", field="slug"
            )
        plan = Plan.objects.create(
            name=name, slug=wanted, description=description, tenant=tenant, position=position
        )
        PlanVersion.objects.create(plan=plan, number=1, **terms)
        record(actor, "plan.create", tenant_id=tenant.pk if tenant else None, target=plan, after=terms)
        events.publish_to_all("plan", plan.pk)
    return plan


def _check_text(name: str, description: str) -> tuple[str, str]:
    return line(name, most=120), paragraphs(description, field="description", most=400)


def _check_position(position: int) -> None:
    if not 0 <= position <= MOST_POSITION:
        raise Invalid(
            _("position is 0 to %(most)s; a lower one comes first in lists.") % {"most": MOST_POSITION},
            field="position",
        )


def parse_terms(terms: Mapping[str, Any]) -> dict[str, Any]:
    """What a version stores, or `Invalid` about the first bad value."""
    return {
        "limits": parse_limits(terms["limits"]).model_dump(mode="json"),
        "allowances": parse(Allowances, terms["allowances"], "allowances").model_dump(mode="json"),
        "choices": parse(Choices, terms["choices"], "choices").model_dump(mode="json"),
    }


def changed_terms(plan: Plan, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The newest version's terms with `changes` laid over them; None when nothing differs. Raises `Invalid`."""
    last = plan.versions.order_by("-number").first()
    now = {name: getattr(last, name) if last else {} for name in TERMS}
    asked = {name: {**now[name], **(changes.get(name) or {})} for name in TERMS}
    if last is None and not changes.get("limits"):
        return None
    wanted = parse_terms(asked)
    refuse_what_no_node_has(wanted["choices"], now["choices"])
    return None if last is not None and wanted == parse_terms(now) else wanted


def update_plan(actor: Actor, plan_id: UUID, changes: Mapping[str, Any], revision: int | None = None) -> Plan:
    """`name`, `description`, `position`; and `limits`, `allowances`, `choices`, each in part.

    Changed terms are a new version. Environments that follow the plan get it, live, one by one after
    the commit (see `panel.offers.rolling`); those that don't keep their version. `revision`: what the asker
    has read; `Stale` when the plan was changed since.
    """
    with transaction.atomic():
        plan = locked_plan(actor, plan_id, revision)
        name, description = _check_text(changes.get("name") or plan.name, changes.get("description") or "")
        text = {"name": name, "description": description}
        changes = {key: text.get(key, value) if value is not None else None for key, value in changes.items()}
        _check_position(changes.get("position") or 0)
        for field in ("name", "description", "position"):
            if changes.get(field) is not None:
                setattr(plan, field, changes[field])
        plan.revision += 1
        plan.save()
        terms = changed_terms(plan, changes)
        if terms is not None:
            last = plan.versions.order_by("-number").first()
            PlanVersion.objects.create(plan=plan, number=last.number + 1 if last else 1, **terms)
            tell_of_version(plan)
        record(actor, "plan.change", tenant_id=plan.tenant_id, target=plan, after=dict(changes))
        events.publish_to_all("plan", plan.pk)
    return plan


def retire_plan(actor: Actor, plan_id: UUID, revision: int | None = None) -> Plan:
    """Nothing new gets it; what has it keeps it. Asked again: a no-op. `revision` as in `update_plan`."""
    with transaction.atomic():
        plan = locked_plan(actor, plan_id, revision)
        if plan.retired_at is None:
            plan.retired_at = timezone.now()
            plan.revision += 1
            plan.save(update_fields=["retired_at", "revision"])
            record(actor, "plan.retire", tenant_id=plan.tenant_id, target=plan)
            events.publish_to_all("plan", plan.pk)
    return plan


def locked_plan(actor: Actor, plan_id: UUID, revision: int | None = None) -> Plan:
    """The row until the transaction ends; `Stale` when its revision isn't the one that the asker has read."""
    plan = Plan.objects.for_actor(actor).select_for_update(no_key=True, of=("self",)).filter(pk=plan_id).first()
    if plan is None:
        raise NotFound(_("This plan"))
    actor.require(Permission.PLAN_MANAGE, plan.tenant)
    if revision is not None and revision != plan.revision:
        raise Stale
    return plan
