"""Leases and forwards made as a node has them: the address is whose the node says, whatever the rows said."""

import ipaddress

from django.utils import timezone

from panel.environments.models import Environment
from panel.networks.models import Address, AddressPool, PortForward
from runtime.contract import Network


def adopt(environment: Environment, network: Network) -> None:
    """Of others it takes what they have no more; what it has no more begins its rest."""
    wanted = [str(one) for one in (*network.ipv4, *network.ipv6)]
    held = Address.objects.filter(environment=environment, released_at=None)
    held.exclude(address__in=wanted).update(released_at=timezone.now())
    for text in wanted:
        _lease(environment, text)
    kept = [_forward(environment, one.protocol, one.node_port, one.port).pk for one in network.forwards]
    PortForward.objects.filter(environment=environment).exclude(pk__in=kept).delete()


def _lease(environment: Environment, text: str) -> None:
    address = ipaddress.ip_address(text)
    pool = _pool_of(environment, address)
    offset = int(address) - int(ipaddress.ip_network(pool.network).network_address)
    Address.objects.update_or_create(
        pool=pool,
        offset=offset,
        defaults={
            "address": text,
            "family": pool.family,
            "tenant": environment.tenant,
            "environment": environment,
            "released_at": None,
        },
    )


def _pool_of(environment: Environment, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> AddressPool:
    """That of its node; of a network that the database doesn't know, one that hands out nothing."""
    pools = AddressPool.objects.filter(node=environment.node, family=address.version)
    found = [one for one in pools if address in ipaddress.ip_network(one.network)]
    if found:
        return found[0]
    network = ipaddress.ip_network((int(address), address.max_prefixlen))
    return AddressPool.objects.create(
        node=environment.node, network=str(network), family=address.version, first=0, last=0, is_active=False
    )


def _forward(environment: Environment, protocol: str, node_port: int, port: int) -> PortForward:
    row, _ = PortForward.objects.update_or_create(
        node=environment.node,
        protocol=protocol,
        node_port=node_port,
        defaults={"environment": environment, "tenant": environment.tenant, "port": port},
    )
    return row
