"""Leasing addresses and forwarding ports.

Both are chosen by chance: in sequence they would tell each tenant how many others come and go.
"""

import ipaddress
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NoRoom
from panel.networks.models import Address, AddressPool, PortForward
from panel.nodes.models import Node
from panel.prepared import Given, Prepared
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.tenants.models import Tenant
from runtime.contract import NodeFacts, NodeReport

_LOT = secrets.SystemRandom()
#: Offsets looked at in one query.
_WINDOW = 64
#: Offsets that are used of a large IPv6 network: more than anybody has environments.
_MOST_OFFSETS = 2**31

_POOLS = Prepared(lambda: AddressPool.objects.filter(node=Given("node", UUIDField()), is_active=True))
_TAKEN = Prepared(
    lambda: Address.objects.filter(
        pool=Given("pool", UUIDField()),
        offset__range=(Given("first", BigIntegerField()), Given("last", BigIntegerField())),
    ).values_list("offset", flat=True)
)


def take_in(node: Node, report: NodeReport) -> None:
    sync_pools(node, report.facts)


def sync_pools(node: Node, facts: NodeFacts) -> None:
    """Make the pools of a node what its facts say; a network that is gone stays for its leases, inactive."""
    networks = [str(n) for n in (facts.ipv4_network, facts.ipv6_network) if n is not None]
    have = {pool.network: pool for pool in AddressPool.objects.filter(node=node)}
    for text in networks:
        pool = have.pop(text, None)
        if pool is None:
            _open_pool(node, text)
        elif not pool.is_active:
            AddressPool.objects.filter(pk=pool.pk).update(is_active=True)
    for pool in have.values():
        if pool.is_active:
            AddressPool.objects.filter(pk=pool.pk).update(is_active=False)


def _open_pool(node: Node, text: str) -> None:
    """Offset 1 is the node's own; the last address of an IPv4 network is its broadcast."""
    network = ipaddress.ip_network(text)
    last = min(network.num_addresses - (2 if network.version == 4 else 1), _MOST_OFFSETS)
    if last >= 2:
        AddressPool.objects.create(node=node, network=text, family=network.version, first=2, last=last)


def has_family(node: Node, family: int) -> bool:
    """By what the node says of itself; no query."""
    return bool(node.facts.get(f"ipv{family}_network"))


def pools_of(node: Node) -> dict[int, AddressPool]:
    """Active pools by family. Call with the node's row locked: leases of one node are made one by one."""
    return {pool.family: pool for pool in _POOLS.all(node=node.pk)}


def lease(environment: Environment, tenant: Tenant, pool: AddressPool, count: int) -> list[Address]:
    """Unsaved leases of free addresses. `NoRoom` when the pool is used up."""
    offsets = _free_offsets(pool, count)
    base = ipaddress.ip_network(pool.network).network_address
    return [
        Address(
            pool=pool,
            offset=offset,
            address=str(base + offset),
            family=pool.family,
            tenant=tenant,
            environment=environment,
        )
        for offset in offsets
    ]


def _free_offsets(pool: AddressPool, count: int) -> list[int]:
    """Some of those that are free behind a place drawn by lot; behind the last comes the first."""
    found: list[int] = []
    size = pool.last - pool.first + 1
    at, looked = pool.first + secrets.randbelow(size), 0
    while looked < size and len(found) < count:
        if at > pool.last:
            at = pool.first
        upto = min(at + _WINDOW - 1, pool.last, at + size - looked - 1)
        taken = set(_TAKEN.all(pool=pool.pk, first=at, last=upto))
        free = [offset for offset in range(at, upto + 1) if offset not in taken]
        found += _LOT.sample(free, min(count - len(found), len(free)))
        looked += upto - at + 1
        at = upto + 1
    if len(found) < count:
        raise NoRoom(
            _("The address pool %(network)s has no free address left.") % {"network": pool.network},
            code="no_address",
            field=f"ipv{pool.family}",
            next_step=_("Delete what isn't needed (addresses rest for a while), or add a larger network."),
        )
    return found


def release_all(environment: Environment) -> None:
    """The environment is gone: its addresses begin their rest, its forwards end."""
    Address.objects.filter(environment=environment, released_at=None).update(released_at=timezone.now())
    PortForward.objects.filter(environment=environment).delete()


def sweep() -> int:
    """Free addresses whose rest is over; how many."""
    rested = timezone.now() - timedelta(seconds=settings.WADAH.address_cooldown_s)
    count, _ = Address.objects.filter(released_at__lt=rested).delete()
    return count


def check_forward(protocol: str, port: int) -> None:
    if protocol not in {"tcp", "udp"}:
        raise Invalid(
            _("The protocol is tcp or udp, not %(protocol)s.") % {"protocol": protocol[:20]}, field="protocol"
        )
    if not 1 <= port <= 65535:
        raise Invalid(_("The port inside is 1 to 65535, not %(port)s.") % {"port": port}, field="port")


def forward_ports(node: Node) -> range:
    """The node's ports that may lead inside, by what it says of itself."""
    first, last = node.facts.get("forward_ports") or NodeFacts.model_fields["forward_ports"].default
    return range(first, last + 1)


def open_forward(
    environment: Environment, *, protocol: str, port: int, node_port: int | None, description: str = ""
) -> PortForward:
    """A new forward; without `node_port` the panel picks one. `Invalid` for a port outside of the node's range,
    and where there is no address to lead to; `Conflict` when the port is taken, or its tenant (without a quota)
    has as many as are still free for all."""
    if not environment.addresses.filter(released_at=None).exists():
        raise Invalid(
            _("The environment has no address that a port could lead to."),
            code="no_address",
            next_step=_("Add an address first."),
        )
    allowed = forward_ports(environment.node)
    _leave_some(environment, protocol, len(allowed))
    if node_port is None:
        return _drawn(environment, allowed, protocol=protocol, port=port, description=description)
    if node_port not in allowed:
        raise Invalid(
            _("The node's port is %(low)s to %(high)s, not %(node_port)s.")
            % {"low": allowed[0], "high": allowed[-1], "node_port": node_port},
            field="node_port",
        )
    made = _store(environment, protocol=protocol, port=port, node_port=node_port, description=description)
    if made is None:
        raise _taken(protocol, node_port)
    return made


def _leave_some(environment: Environment, protocol: str, count: int) -> None:
    """So that each further tenant finds some where no quota says how many one may have."""
    rows = PortForward.objects.filter(node_id=environment.node_id, protocol=protocol)
    if quotas.is_limited(environment.tenant, Resource.FORWARDS):
        return
    if rows.filter(tenant_id=environment.tenant_id).count() >= count - rows.count():
        raise Conflict(
            _("This tenant has as many ports of the node as are still free for all."),
            code="too_many",
            field="node_port",
            next_step=_("Remove a forward that nobody needs."),
        )


def _drawn(environment: Environment, allowed: range, *, protocol: str, **fields: Any) -> PortForward:
    """By lot among those that are free; again when somebody else was quicker."""
    rows = PortForward.objects.filter(node_id=environment.node_id, protocol=protocol)
    while free := list(set(allowed) - set(rows.values_list("node_port", flat=True))):
        made = _store(environment, protocol=protocol, node_port=_LOT.choice(free), **fields)
        if made is not None:
            return made
    raise NoRoom(_("No port of the node is free."), code="no_port", field="node_port")


def _store(environment: Environment, **fields: Any) -> PortForward | None:
    """None when the port is taken."""
    try:
        with transaction.atomic():
            return PortForward.objects.create(
                environment=environment,
                tenant_id=environment.tenant_id,
                node_id=environment.node_id,
                **fields,
            )
    except IntegrityError:
        return None


def _taken(protocol: str, node_port: int) -> Conflict:
    return Conflict(
        _("Port %(node_port)s/%(protocol)s of the node is taken already.")
        % {"node_port": node_port, "protocol": protocol},
        code="port_taken",
        field="node_port",
        next_step=_("Choose another, or leave it out and one is chosen for you."),
    )
