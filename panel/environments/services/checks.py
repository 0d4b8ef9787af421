"""What the services ask of values and of the moment before they change anything."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import CharField, UUIDField
from django.utils.translation import gettext as _

from panel.contract_input import parse_limits
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid
from panel.plans.models import Plan, PlanVersion
from panel.plans.rules import opens, refuse_device, refuse_opening, refuse_own_size, why_no_device
from panel.plans.terms import Opening
from panel.prepared import Given, Prepared
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.text import paragraphs
from runtime.contract import Kind, Limits, wants_of

_NAMED = Prepared(
    lambda: (
        Environment.objects.in_use()
        .filter(tenant=Given("tenant", UUIDField()), name=Given("name", CharField()))
        .values_list("pk", flat=True)[:1]
    )
)


def refuse_taken_name(tenant: Tenant, name: str) -> None:
    if _NAMED.all(tenant=tenant.pk, name=name):
        raise Conflict(
            _("There is an environment named %(name)s already.") % {"name": name},
            code="name_taken",
            field="name",
            next_step=_("Choose another name."),
        )


def limits_for(
    actor: Actor, tenant: Tenant, kind: Kind, limits: Mapping[str, Any] | None, plan: str
) -> tuple[PlanVersion | None, Limits]:
    """A plan's newest version with `limits` laid over it; without a plan, over those that its kind wants."""
    if not plan:
        refuse_own_size(tenant)
        return None, parse_limits({**wants_of(kind).limits.model_dump(), **(limits or {})})
    found = plan_version(actor, tenant, plan)
    if limits:
        refuse_own_size(tenant)
    return found, parse_limits({**found.limits, **(limits or {})})


def plan_version(actor: Actor, tenant: Tenant, plan: str) -> PlanVersion:
    """The newest version of a plan named by slug or id that this tenant may use."""
    plans = Plan.objects.for_actor(actor).filter(retired_at=None)
    found = plans.filter(slug=plan).first()
    if found is None:
        try:
            found = plans.filter(pk=UUID(plan)).first()
        except ValueError:
            found = None
    if found is None or (found.tenant_id is not None and found.tenant_id not in tenant.chain):
        raise Invalid(_("There is no plan %(plan)s.") % {"plan": plan[:63]}, field="plan", code="unknown_plan")
    version = found.versions.select_related("plan").order_by("-number").first()
    if version is None:
        raise Invalid(_("The plan %(plan)s has no limits yet.") % {"plan": plan[:63]}, field="plan")
    return version


def opened(environment: Environment) -> set[str]:
    """What of its confinement is lifted, in words of `Opening`."""
    options = {**environment.intent["network"], **environment.intent["security"]}
    return {one.value for one in Opening if options.get(one)}


def lifts(environment: Environment) -> set[str]:
    """What it has that only the provider gives: what its plan doesn't open, devices without a plan."""
    found = opened(environment) - set(opens(environment.plan_version))
    if environment.plan_version_id is not None:
        return found
    return found | {*environment.wanted.all_devices, *environment.wanted.host_device_names}


def openable(actor: Actor, environment: Environment) -> set[str]:
    """What of its confinement this one may lift; what is lifted already may be closed."""
    if actor.can(Permission.SECURITY_MANAGE, environment.tenant):
        return set(Opening)
    return set(opens(environment.plan_version)) | opened(environment)


def check_opened(actor: Actor, environment: Environment, had: Iterable[str] = ()) -> None:
    """Lifting a part of the confinement that it hasn't `had` is the provider's decision: his plan's, or of who
    may by name. `Invalid` else for who may use what a plan opens, `Forbidden` where nobody asked a plan."""
    more = opened(environment) - set(had) - set(opens(environment.plan_version))
    if not more:
        return
    if not opens(environment.plan_version):
        actor.require(Permission.SECURITY_MANAGE, environment.tenant)
    if not actor.can(Permission.SECURITY_MANAGE, environment.tenant):
        refuse_opening(environment.plan_version, more)


def check_devices(actor: Actor, environment: Environment, had: Sequence[str] = ()) -> None:
    """`Invalid` for a device that its plan leaves out; without a plan, for one that it hasn't `had` and that
    the actor may not give. Which node has it, placement sees."""
    may_give = actor.can(Permission.SECURITY_MANAGE, environment.tenant)
    for device in environment.wanted.all_devices:
        if environment.plan_version is not None or device not in had:
            refuse_device(why_no_device(environment.plan_version, device, may_give=may_give))


def check_text(text: str, field: str, most: int = 400) -> str:
    """Several lines, as a description has them."""
    return paragraphs(text, field=field, most=most)
