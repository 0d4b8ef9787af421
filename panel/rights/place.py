"""Where a right is asked for."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Place:
    """What a right is asked for: a tenant, or one environment of it."""

    path: str
    tenant_id: UUID
    environment_id: UUID | None = None
