"""The sums anew from what is there, for the check that they are right and for the migration that needs them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from uuid import UUID

from panel.quotas.sums import promised

#: (tenant, resource) to a number of stored units.
Sums = dict[tuple[UUID, str], int]


def expected(
    tenants: Iterable[tuple[UUID, UUID | None, str]],
    own: Mapping[tuple[UUID, str], int],
    rows: Iterable[tuple[UUID, str, int | None, int]],
) -> Sums:
    """What `reserved` has to be, per tenant and resource.

    `tenants`: id, parent, path. `own`: what the environments of a tenant itself take. `rows`: tenant,
    resource, limit and overbook percent of each quota.
    """
    sums: Sums = defaultdict(int, own)
    limits = {(tenant, resource): (limit, percent) for tenant, resource, limit, percent in rows}
    resources = {resource for _, resource in limits}
    for tenant, parent, _ in sorted(tenants, key=lambda one: -one[2].count("/")):
        for resource in resources:
            limit, percent = limits.get((tenant, resource), (None, 100))
            if parent is not None:
                sums[parent, resource] += promised(limit, sums[tenant, resource], percent)
            else:
                sums[tenant, resource] += 0
    return sums
