"""What tenants really use, by the newest reports of the nodes; all tenants below included."""

from typing import cast

from django.db.models import Count, IntegerField, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from panel.environments.models import Environment, Environments, EnvironmentUsage
from panel.networks.models import Address, PortForward
from panel.quotas import selectors as quotas
from panel.quotas.models import Resource
from panel.tenancy import answers
from panel.tenants.models import Tenant

_MIB = 2**20


def used_by(tenant: Tenant) -> dict[str, float]:
    """Per resource in the API's units; what is counted and not measured is used as soon as it is there."""
    inside = {"tenant__path__startswith": tenant.path}
    sums = EnvironmentUsage.objects.filter(
        environment__tenant__path__startswith=tenant.path, environment__deleted_at=None
    ).aggregate(
        cpu=Sum("cpu"),
        memory=Sum("memory_bytes"),
        swap=Sum("swap_bytes"),
        disk=Sum("disk_bytes"),
        processes=Sum("processes"),
    )
    return {
        Resource.CPU: round(sums["cpu"] or 0, 3),
        Resource.MEMORY_MB: round((sums["memory"] or 0) / _MIB),
        Resource.SWAP_MB: round((sums["swap"] or 0) / _MIB),
        Resource.DISK_MB: round((sums["disk"] or 0) / _MIB),
        Resource.PROCESSES: sums["processes"] or 0,
        Resource.ENVIRONMENTS: Environment.objects.living().filter(**inside).count(),
        Resource.ADDRESSES: Address.objects.filter(**inside, released_at=None, family=4).count(),
        Resource.FORWARDS: PortForward.objects.filter(**inside).count(),
    }


def usage_of(tenant: Tenant) -> dict[str, answers.ResourceUsage]:
    """Per resource limit, soft, reserved, used, highest, highest_used, hits and what belongs to them."""
    return cast("dict[str, answers.ResourceUsage]", quotas.usage_of(tenant, used_by(tenant)))


def living_by_node(tenant: Tenant) -> dict[str, int]:
    """How many environments of the tenant itself are on which node."""
    rows = Environment.objects.living().filter(tenant=tenant).values_list("node__name")
    return dict(rows.annotate(n=Count("pk")).order_by("node__name"))


def takers(tenant: Tenant) -> Environments:
    """Living environments of the tenant itself, the one with the most memory first."""
    return (
        Environment.objects.living()
        .filter(tenant=tenant)
        .select_related("tenant", "node", "usage")
        .annotate(memory_mb=Cast(KT("intent__limits__memory_mb"), IntegerField()))
        .order_by("-memory_mb", "name")
    )


def show_taker(row: Environment) -> answers.Taker:
    """As beancounters of one environment: what is held, the most ever held, the limit, and the hits."""
    usage = getattr(row, "usage", None)
    limits = row.contract_limits()

    def one(limit: float, used: float, **more: float) -> dict[str, float | None]:
        return {"limit": limit, "used": used, **more}

    held = usage or EnvironmentUsage()
    return {
        "id": str(row.pk),
        "name": row.name,
        "node": row.node.name,
        "state": row.state.value,
        "resources": {
            "cpu": one(limits.cpu, round(held.cpu, 3)),
            "memory_mb": one(
                limits.memory_mb,
                held.memory_bytes // _MIB,
                highest_used=held.memory_max_bytes // _MIB,
                hits=held.memory_hits,
            ),
            "swap_mb": one(limits.swap_mb, held.swap_bytes // _MIB),
            "disk_mb": one(limits.disk_mb, held.disk_bytes // _MIB),
            "processes": one(limits.processes, held.processes, hits=held.process_hits),
        },
    }
