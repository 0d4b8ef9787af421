"""Stored units and those of the API."""

from panel.quotas.models import SCALE, Resource
from runtime.contract import Limits


def stored(resource: str, value: float) -> int:
    return round(value * SCALE.get(Resource(resource), 1))


def stored_or_none(resource: str, value: float | None) -> int | None:
    return None if value is None else stored(resource, value)


def shown(resource: str, value: int) -> float | int:
    """In the API's units: vCPUs as a number that may have a fraction, all else whole."""
    scale = SCALE.get(Resource(resource), 1)
    return value if scale == 1 else value / scale


def shown_or_none(resource: str, value: int | None) -> float | int | None:
    return None if value is None else shown(resource, value)


def amounts_of(limits: Limits) -> dict[str, int]:
    """What one environment with these limits takes, addresses and forwards apart."""
    return {
        Resource.ENVIRONMENTS: 1,
        Resource.CPU: stored(Resource.CPU, limits.cpu),
        Resource.MEMORY_MB: limits.memory_mb,
        Resource.SWAP_MB: limits.swap_mb,
        Resource.DISK_MB: limits.disk_mb,
        Resource.PROCESSES: limits.processes,
    }
