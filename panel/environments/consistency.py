"""The sums that the database keeps, compared with the rows that they are sums of.

Reservations are moved by conditional UPDATEs so that nothing can race; here they are counted anew. What
this finds is a defect of ours: an administrator asks by `manage.py consistency`, fault tests after each fault.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from panel.environments.features import FEATURES
from panel.environments.models import Environment
from panel.environments.trash import held_amounts
from panel.nodes.models import Node
from panel.operations.models import OPEN_STATES, Operation
from panel.quotas.models import Quota, Resource
from panel.quotas.recount import Sums, expected
from panel.tenants.models import Tenant


def examine() -> list[str]:
    """One sentence for each thing that doesn't add up; empty when all does. Reads one moment's rows."""
    with transaction.atomic():
        living = list(Environment.objects.living().select_related("tenant"))
        return [*_quotas(living), *_nodes(living), *_features(living), *_operations()]


def recount() -> None:
    """The sums made what the rows say; for rows that came from elsewhere than a change of ours."""
    with transaction.atomic():
        living = list(Environment.objects.living().select_related("tenant"))
        for quota, wanted in _wanted_of_quotas(living):
            if quota.reserved != wanted:
                Quota.objects.filter(pk=quota.pk).update(reserved=wanted)
        for node, sums in _wanted_of_nodes(living):
            Node.objects.filter(pk=node.pk).update(**sums)


def _quotas(living: list[Environment]) -> Iterator[str]:
    for quota, wanted in _wanted_of_quotas(living):
        if quota.reserved != wanted:
            yield (
                f"quota {quota.resource} of tenant {quota.tenant.slug}: "
                f"{quota.reserved} reserved, its environments and child tenants hold {wanted}"
            )


def _wanted_of_quotas(living: list[Environment]) -> Iterator[tuple[Quota, int]]:
    own: Sums = defaultdict(int)
    for row in living:
        for resource, amount in held_amounts(row).items():
            own[row.tenant_id, resource] += amount
    for feature in FEATURES:
        for tenant_id, resource, count in feature.held():
            own[tenant_id, resource] += count
    tenants = Tenant.objects.values_list("pk", "parent_id", "path")
    limits = Quota.objects.values_list("tenant_id", "resource", "limit", "overbook_percent")
    sums = expected(tenants, own, limits)
    for quota in Quota.objects.select_related("tenant"):
        yield quota, sums[quota.tenant_id, quota.resource]


def _nodes(living: list[Environment]) -> Iterator[str]:
    for node, wanted in _wanted_of_nodes(living):
        for field, value in wanted.items():
            if getattr(node, field) != value:
                yield f"node {node.name}: {field} is {getattr(node, field)}, its environments hold {value}"


def _wanted_of_nodes(living: list[Environment]) -> Iterator[tuple[Node, dict[str, int]]]:
    beside: Counter[UUID] = Counter()
    for feature in FEATURES:
        for node_id, disk_mb in feature.placed():
            beside[node_id] += disk_mb
    for node in Node.objects.all():
        here = [row for row in living if row.node_id == node.pk]
        held = [held_amounts(row) for row in here]
        yield (
            node,
            {
                "reserved_cpu": sum(one.get(Resource.CPU, 0) for one in held),
                "reserved_memory_mb": sum(one.get(Resource.MEMORY_MB, 0) for one in held),
                "reserved_disk_mb": sum(one[Resource.DISK_MB] for one in held) + beside[node.pk],
                "placed": len(here),
            },
        )


def _features(living: list[Environment]) -> Iterator[str]:
    for feature in FEATURES:
        yield from feature.examine(living)


def _of_the_gone() -> QuerySet[Operation]:
    """Changes of environments that are gone; what a job does about one may outlast it."""
    gone = Operation.objects.filter(environment__deleted_at__isnull=False)
    return gone.filter(state__in=OPEN_STATES, generation__gt=0)


def _operations() -> Iterator[str]:
    now = timezone.now()
    for row in Operation.objects.filter(state__in=OPEN_STATES, deadline__lt=now):
        yield f"operation {row.pk} ({row}) is open past its deadline"
    for row in _of_the_gone():
        yield f"operation {row.pk} ({row}) is open though its environment is gone"
    for row in Operation.objects.filter(state="failed", code=""):
        yield f"operation {row.pk} ({row}) failed without a cause"
