"""The most that tenants were ever seen to use, noted once a minute."""

from collections import defaultdict
from uuid import UUID

from django.db.models import Sum

from panel.environments.models import EnvironmentUsage
from panel.quotas.models import MEASURED, Quota
from panel.tenants.models import Tenant

_MIB = 2**20
_MOST_AT_ONCE = 500


def note_peaks() -> int:
    """Raise `highest_used` where more is in use now, all tenants below included; how many rows were raised."""
    now = _used_now()
    raised = []
    rows = Quota.objects.filter(resource__in=MEASURED, tenant_id__in=[tenant for tenant, _ in now])
    for row in rows.only("tenant_id", "resource", "highest_used").iterator(chunk_size=5000):
        used = now.get((row.tenant_id, row.resource), 0)
        if used > row.highest_used:
            row.highest_used = used
            raised.append(row)
    Quota.objects.bulk_update(raised, ["highest_used"], batch_size=_MOST_AT_ONCE)
    return len(raised)


def _used_now() -> dict[tuple[UUID, str], int]:
    """Stored units by tenant and resource."""
    sums = (
        EnvironmentUsage.objects.filter(environment__deleted_at=None)
        .values_list("environment__tenant_id")
        .annotate(
            cpu=Sum("cpu"),
            memory=Sum("memory_bytes"),
            swap=Sum("swap_bytes"),
            disk=Sum("disk_bytes"),
            processes=Sum("processes"),
        )
        .order_by()
    )
    own = {tenant: values for tenant, *values in sums}
    found: dict[tuple[UUID, str], int] = defaultdict(int)
    for tenant in Tenant.objects.filter(pk__in=own).only("path"):
        cpu, memory, swap, disk, processes = own[tenant.pk]
        amounts = (round(cpu * 1000), memory // _MIB, swap // _MIB, disk // _MIB, processes)
        for one in tenant.chain:
            for resource, amount in zip(MEASURED, amounts, strict=True):
                found[one, resource] += amount
    return dict(found)
