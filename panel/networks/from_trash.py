"""Addresses and forwards of what comes out of the trash: its own where they are still free."""

from collections.abc import Mapping
from typing import Any

from panel.environments.models import Environment
from panel.errors import Conflict
from panel.networks import services
from panel.networks.models import Address, PortForward
from panel.quotas import services as quotas
from panel.quotas.models import Resource


def bring_back(environment: Environment, note: Mapping[str, Any]) -> dict[str, Any]:
    """What `note` names (`Networks.trashed`). Addresses whose rest is over are replaced by others; forwards
    whose ports somebody has are left out. The node's row is locked. What is not as it was, for people.

    Raises `QuotaExceeded`, and `NoRoom` when a pool is used up.
    """
    if not note:
        return {}
    own = Address.objects.filter(pk__in=note["addresses"], environment=environment, released_at__isnull=False)
    families = {int(family): count for family, count in note["families"].items()}
    quotas.reserve(environment.tenant, {Resource.ADDRESSES: families.get(4, 0)})
    resting = list(own)
    own.update(released_at=None)
    pools = services.pools_of(environment.node)
    made: list[Address] = []
    for family, count in families.items():
        missing = count - sum(one.family == family for one in resting)
        if missing > 0 and family in pools:
            made += services.lease(environment, environment.tenant, pools[family], missing)
    Address.objects.bulk_create(made)
    _give_back_uncounted(environment, families.get(4, 0))
    lost = _open_forwards(environment, note["forwards"])
    found: dict[str, Any] = {"new_addresses": [one.address for one in made]} if made else {}
    return {**found, "lost_forwards": lost} if lost else found


def _give_back_uncounted(environment: Environment, counted: int) -> None:
    """A node that has no IPv4 network any more gives none back."""
    got = environment.addresses.filter(released_at=None, family=4).count()
    quotas.release(environment.tenant, {Resource.ADDRESSES: counted - got})


def _open_forwards(environment: Environment, wanted: list[dict[str, Any]]) -> list[str]:
    """Those whose ports are free; the others, as text."""
    if not environment.addresses.filter(released_at=None).exists():
        return [_text(one) for one in wanted]
    allowed = services.forward_ports(environment.node)
    lost = []
    for one in wanted:
        taken = PortForward.objects.filter(
            node_id=environment.node_id, protocol=one["protocol"], node_port=one["node_port"]
        )
        if one["node_port"] not in allowed or taken.exists():
            lost.append(_text(one))
            continue
        try:
            services.open_forward(environment, **one)
        except Conflict:  # its tenant has as many as are left for all
            lost.append(_text(one))
            continue
        quotas.reserve(environment.tenant, {Resource.FORWARDS: 1})
    return lost


def _text(one: Mapping[str, Any]) -> str:
    return f"{one['protocol']} {one['node_port']} → {one['port']}"
