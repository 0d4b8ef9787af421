"""The sums that the database keeps, compared with the rows that they are sums of.

Reservations are moved by conditional UPDATEs so that nothing can race; here they are counted anew. What
this finds is a defect of ours: an administrator asks by `manage.py consistency`, fault tests after each fault.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from panel.environments.models import Environment
from panel.networks.models import Address, PortForward
from panel.nodes.models import Node
from panel.operations.models import OPEN_STATES, Operation
from panel.quotas.models import Quota, Resource
from panel.quotas.services import amounts_of
from panel.tenants.models import Tenant

#: Resources that are counted from rows here.
_COUNTED = (
    Resource.ENVIRONMENTS,
    Resource.CPU,
    Resource.MEMORY_MB,
    Resource.DISK_MB,
    Resource.ADDRESSES,
    Resource.FORWARDS,
)


def examine() -> list[str]:
    """One sentence for each thing that doesn't add up; empty when all does. Reads one moment's rows."""
    with transaction.atomic():
        living = list(Environment.objects.living().select_related("tenant"))
        return [*_quotas(living), *_nodes(living), *_addresses(living), *_operations()]


def _quotas(living: list[Environment]) -> Iterator[str]:
    chains = {tenant.pk: tenant.chain for tenant in Tenant.objects.all()}
    held: Counter[tuple[Any, str]] = Counter()
    for row in living:
        for resource, amount in amounts_of(row.contract_limits()).items():
            for tenant in chains[row.tenant_id]:
                held[tenant, resource] += amount
    leases = Address.objects.filter(released_at=None, family=4, environment__deleted_at=None)
    for tenant_id, count in leases.values_list("environment__tenant_id").annotate(n=Count("id")):
        for tenant in chains.get(tenant_id, ()):
            held[tenant, Resource.ADDRESSES] += count
    forwards = PortForward.objects.filter(environment__deleted_at=None)
    for tenant_id, count in forwards.values_list("environment__tenant_id").annotate(n=Count("id")):
        for tenant in chains[tenant_id]:
            held[tenant, Resource.FORWARDS] += count
    for quota in Quota.objects.filter(resource__in=_COUNTED).select_related("tenant"):
        wanted = held[quota.tenant_id, quota.resource]
        if quota.reserved != wanted:
            yield (
                f"quota {quota.resource} of tenant {quota.tenant.slug}: "
                f"{quota.reserved} reserved, its environments hold {wanted}"
            )


def _nodes(living: list[Environment]) -> Iterator[str]:
    for node in Node.objects.all():
        here = [row for row in living if row.node_id == node.pk]
        limits = [row.contract_limits() for row in here]
        wanted = {
            "reserved_cpu": sum(amounts_of(one)[Resource.CPU] for one in limits),
            "reserved_memory_mb": sum(one.memory_mb for one in limits),
            "reserved_disk_mb": sum(one.disk_mb for one in limits),
            "placed": len(here),
        }
        for field, value in wanted.items():
            if getattr(node, field) != value:
                yield f"node {node.name}: {field} is {getattr(node, field)}, its environments hold {value}"


def _addresses(living: list[Environment]) -> Iterator[str]:
    ids = {row.pk for row in living}
    seen: Counter[str] = Counter()
    for lease in Address.objects.filter(released_at=None):
        seen[lease.address] += 1
        if lease.environment_id not in ids:
            yield f"address {lease.address} is leased to an environment that is gone"
    yield from (f"address {address} is leased {count} times" for address, count in seen.items() if count > 1)


def _operations() -> Iterator[str]:
    now = timezone.now()
    for row in Operation.objects.filter(state__in=OPEN_STATES, deadline__lt=now):
        yield f"operation {row.pk} ({row}) is open past its deadline"
    for row in Operation.objects.filter(state__in=OPEN_STATES, environment__deleted_at__isnull=False):
        yield f"operation {row.pk} ({row}) is open though its environment is gone"
    for row in Operation.objects.filter(state="failed", code=""):
        yield f"operation {row.pk} ({row}) failed without a cause"
