"""Trying many changes one after another against the quotas as they are, without touching them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from panel.quotas.models import Quota
from panel.quotas.sums import Level, Move, Short, climb
from panel.tenants.models import Tenant

#: Columns of a `Level`, in its order.
_LEVEL = (
    "pk", "tenant_id", "resource", "limit", "reserved", "soft", "grace_s", "soft_since", "overbook_percent",
    "highest",
)  # fmt: skip


class Simulation:
    """One query for the quotas of all these tenants and of those above them."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        ids = {one for tenant in tenants for one in tenant.chain}
        rows = Quota.objects.filter(tenant_id__in=ids).values_list(*_LEVEL)
        self._levels: dict[tuple[UUID, str], Level] = {}
        for values in rows:
            level = Level(*values)
            self._levels[level.tenant_id, level.resource] = level

    def change(self, tenant: Tenant, deltas: Mapping[str, int], now: datetime) -> Short | None:
        """Change the sums if there is room everywhere; else the first shortage, and nothing is changed."""
        moves: list[Move] = []
        for resource, delta in deltas.items():
            levels = [
                self._levels[one, resource] for one in reversed(tenant.chain) if (one, resource) in self._levels
            ]
            made, short = climb(levels, delta, now)
            if short is not None:
                return short
            moves += made
        for move in moves:
            key = (move.level.tenant_id, move.level.resource)
            self._levels[key] = replace(move.level, reserved=move.reserved)
        return None
