"""What a change of a plan would mean, environment by environment, without changing anything."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.environments.services.checks import opened
from panel.errors import NotFound, Refused
from panel.networks.models import Address, PortForward
from panel.offers.answers import PlanPreview
from panel.offers.rolling import followers
from panel.plans.models import Plan, PlanVersion
from panel.plans.rules import check_allowance, check_choices, opens, refuse_opening
from panel.plans.services import TERMS, changed_terms
from panel.quotas.models import Resource
from panel.quotas.simulate import Simulation
from panel.quotas.units import amounts_of, shown
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import Limits

_MIB = 2**20
#: Environments named in the answer; the counts are of all.
_MOST_NAMED = 200


def preview_update(actor: Actor, plan_id: UUID, changes: Mapping[str, Any]) -> PlanPreview:
    """`{"version", "changes", "following", "fitting", "staying", "environments"}`.

    Followers are gone through in the order of their tenants and names, each against what those before
    it leave of every quota. `changes` is empty when the plan would stay as it is.
    """
    plan = Plan.objects.for_actor(actor).filter(pk=plan_id).first()
    if plan is None:
        raise NotFound(_("This plan"))
    actor.require(Permission.PLAN_MANAGE, plan.tenant)
    last = plan.versions.order_by("-number").first()
    terms = changed_terms(plan, changes)
    concerned = Environment.objects.in_use().filter(plan_version__plan=plan)
    staying = concerned.exclude(follows_plan=True).count()
    number = last.number if last else 0
    if terms is None:
        return {
            "version": number, "changes": {}, "following": 0, "fitting": 0, "staying": staying,
            "environments": [],
        }  # fmt: skip
    wanted = PlanVersion(plan=plan, number=number + 1, **terms)
    rows = list(followers(plan).select_related("tenant", "usage").order_by("tenant__name", "name", "pk"))
    verdicts = _verdicts(rows, wanted)
    return {
        "version": number + 1,
        "changes": {
            f"{name}.{key}": [getattr(last, name).get(key) if last else None, value]
            for name in TERMS
            for key, value in terms[name].items()
            if last is None or getattr(last, name).get(key) != value
        },
        "following": len(rows),
        "fitting": sum(not why for _, why in verdicts),
        "staying": staying,
        "environments": [
            {
                "id": str(row.pk),
                "name": row.name,
                "tenant": str(row.tenant_id),
                "tenant_name": row.tenant.name,
                "fits": not why,
                "why": why,
            }
            # those that don't fit first: they are what one reads it for
            for row, why in sorted(verdicts, key=lambda one: not one[1])[:_MOST_NAMED]
        ],
    }


def _verdicts(rows: Iterable[Environment], wanted: PlanVersion) -> list[tuple[Environment, str]]:
    rows = list(rows)
    limits = Limits.model_validate(wanted.limits)
    simulation = Simulation(tenant for tenant in {row.tenant_id: row.tenant for row in rows}.values())
    counts = _Counts(wanted.plan)
    return [(row, _why_not(row, wanted, limits, simulation, counts)) for row in rows]


class _Counts:
    """Addresses and forwards of the environments of one plan; two queries."""

    def __init__(self, plan: Plan) -> None:
        inside = {"environment__plan_version__plan": plan}
        leases = Address.objects.filter(**inside, released_at=None, family=4)
        self.addresses = self._by_environment(leases)
        self.forwards = self._by_environment(PortForward.objects.filter(**inside))

    @staticmethod
    def _by_environment(rows: QuerySet[Any]) -> dict[UUID, int]:
        return dict(rows.order_by().values_list("environment_id").annotate(n=Count("pk")))


def _why_not(
    row: Environment, wanted: PlanVersion, limits: Limits, simulation: Simulation, counts: _Counts
) -> str:
    try:
        check_choices(
            wanted,
            kind=row.kind,
            kernel=row.kernel,
            image=row.image,
            devices=row.wanted.all_devices,
            host_devices=row.wanted.host_device_names,
        )
        refuse_opening(wanted, opened(row) & set(opens(row.plan_version)))
        check_allowance(wanted, "addresses", counts.addresses.get(row.pk, 0))
        check_allowance(wanted, "forwards", counts.forwards.get(row.pk, 0))
    except Refused as refusal:
        return refusal.message
    usage = getattr(row, "usage", None)
    if usage is not None and usage.disk_bytes > limits.disk_mb * _MIB:
        return _("%(disk_mb)s MiB of disk is below the %(used)s MiB in use.") % {
            "disk_mb": limits.disk_mb,
            "used": -(-usage.disk_bytes // _MIB),
        }
    before, after = amounts_of(row.contract_limits()), amounts_of(limits)
    short = simulation.change(row.tenant, {r: after[r] - before[r] for r in after}, timezone.now())
    if short is None:
        return ""
    resource = short.level.resource
    left = max((short.level.most or 0) - short.level.reserved, 0)
    return _("%(asked)s more %(what)s asked for, and %(left)s left of the quota.") % {
        "asked": f"{shown(resource, short.asked):g}",
        "what": Resource(resource).label,
        "left": f"{shown(resource, left):g}",
    }
