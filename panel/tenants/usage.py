"""What tenants really use, by the newest reports of the nodes; all tenants below included."""

from typing import Any

from django.db.models import Count, Sum

from panel.environments.models import Environment, EnvironmentUsage
from panel.networks.models import Address, PortForward
from panel.quotas import selectors as quotas
from panel.quotas.models import Resource
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


def usage_of(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """Per resource limit, soft, reserved, used, highest, highest_used, hits and what belongs to them."""
    return quotas.usage_of(tenant, used_by(tenant))


def living_by_node(tenant: Tenant) -> dict[str, int]:
    """How many environments of the tenant itself are on which node."""
    rows = Environment.objects.living().filter(tenant=tenant).values_list("node__name")
    return dict(rows.annotate(n=Count("pk")).order_by("node__name"))
