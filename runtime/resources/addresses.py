"""Addresses inside, routes to them outside, and the permanent neighbour entries of both sides."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec, Kernel
from runtime.contract.said import Said
from runtime.contract.words import drift, refusals, steps
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host import rtnetlink
from runtime.host.netlink import Rtnetlink, inside, set_inside
from runtime.network.addressing import GATEWAY4, GATEWAY6, HOST_MAC, guest_link_local, guest_mac, interface_name
from runtime.resources.base import Found, Sandboxed
from runtime.resources.link import links_by_name
from runtime.resources.namespaces import network_namespace

Address = IPv4Address | IPv6Address
_LOOPBACK = 1  # its index in every network namespace
#: Addresses of one link that are looked through: whoever has more is left with what he has.
_MOST_INSIDE = 500


class Addresses(Sandboxed):
    """Brings the link up, so it comes after the firewall."""

    name = "addresses and routes"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        wanted: list[Address] = [*spec.network.ipv4, *spec.network.ipv6]
        try:
            with network_namespace(self.sandbox, spec.id) as namespace, Rtnetlink() as netlink:
                link = netlink.link(self.node.link_name(spec.id))
                if link is None or link.peer_index is None:
                    raise RuntimeFault(refusals.link_gone(), code="link_gone")
                # a link that is down has no routes
                present = netlink.host_routes(link.index) if link.up else set()
                gone = present - set(wanted)
                # routes first and last: they say what was given, should this be cut off in its middle
                changed = self._ensure_outside(netlink, link, spec.id, wanted, present)
                is_up = spec.runs_on is not Kernel.SHARED and self.sandbox.look(spec.id).is_up
                if spec.runs_on is Kernel.OWN:
                    changed |= self._ensure_wire(namespace, link.peer_index)
                elif not is_up:  # a guarded kernel takes them out of there when it starts
                    changed |= self._ensure_inside(namespace, link.peer_index, wanted, gone)
                self._take_away(netlink, link.index, gone)
            if (changed or gone) and is_up:
                self.sandbox.tell_inside(spec)
        except OSError as error:
            what = error.filename or "netlink"
            raise RuntimeFault(
                refusals.address_refused(str(what), str(error.strerror)), code="address_failed"
            ) from error
        return steps.addresses(tuple(str(one) for one in wanted)) if changed else None

    @staticmethod
    def _ensure_inside(namespace: int, eth: int, wanted: list[Address], gone: set[Address]) -> bool:
        """Only what the spec gives or gave is touched: what root inside added or chose instead stays (but
        has no route and may not send). One message each, all in one call."""

        def act(netlink: Rtnetlink) -> bool:
            for address in wanted:
                netlink.add_address(eth, address, address.max_prefixlen)
            # before the routes: the kernel takes a default route away with the address that it sends from
            for address in gone:
                netlink.delete_address(eth, address, address.max_prefixlen)
            netlink.set_up(_LOOPBACK)
            netlink.set_up(eth)
            for gateway in (GATEWAY4, GATEWAY6):
                of_family = [one for one in wanted if one.version == gateway.version]
                if of_family:
                    netlink.set_neighbour(eth, gateway, HOST_MAC)
                    if gateway.version == 4:
                        netlink.add_route(eth, gateway, 32)
                    everywhere = type(gateway)(0)
                    netlink.add_route(eth, everywhere, 0, gateway=gateway, source=of_family[0])
            return any(one.startswith(("address", "route")) for one in netlink.send())

        return inside(namespace, act)

    @staticmethod
    def _ensure_wire(namespace: int, eth: int) -> bool:
        """Of a kernel of its own, which has the addresses: on the host's side its end of the link is a wire, on
        which nobody answers for himself."""

        def act(netlink: Rtnetlink) -> bool:
            netlink.set_up(eth)
            return any(one.startswith("link") for one in netlink.send())

        set_inside(
            namespace, interface_name(), {"ipv6/conf/%s/disable_ipv6": "1", "ipv4/conf/%s/arp_ignore": "8"}
        )
        return inside(namespace, act)

    @staticmethod
    def _ensure_outside(
        netlink: Rtnetlink,
        link: rtnetlink.Link,
        environment_id: UUID,
        wanted: list[Address],
        present: set[Address],
    ) -> bool:
        mac, index = guest_mac(environment_id), link.index
        if not link.up:
            netlink.set_up(index)
        netlink.add_address(index, GATEWAY4, 32, rtnetlink.RT_SCOPE_LINK)
        netlink.add_address(index, GATEWAY6, 64, rtnetlink.RT_SCOPE_LINK)
        for address in (*wanted, guest_link_local(environment_id)):
            netlink.set_neighbour(index, address, mac)
        for address in wanted:
            if address not in present:
                # the address may still lead to the link of an environment that is just going away
                netlink.add_route(index, address, address.max_prefixlen, replace=True)
        return any(one.startswith(("address", "route", "link")) for one in netlink.send())

    @staticmethod
    def _take_away(netlink: Rtnetlink, index: int, gone: set[Address]) -> None:
        for address in gone:
            netlink.delete_route(index, address)
            netlink.delete_neighbour(index, address)
        netlink.send()

    def remove(self, environment_id: UUID) -> Said | None:
        return None  # addresses and routes go with their link

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        with Rtnetlink() as netlink:
            link = netlink.link(self.node.link_name(environment_id))
            if link is None:
                return None
            return {"routed": sorted(str(one) for one in netlink.host_routes(link.index))}

    def inventory(self) -> Iterable[Found]:
        return ()  # what is left of them is left with a link

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        link = links_by_name(glance).get(self.node.link_name(spec.id))
        routed = glance.once("routes", _host_routes)
        wanted: set[Address] = {*spec.network.ipv4, *spec.network.ipv6}
        if link is None or routed.get(link.index, set()) != wanted:
            return drift.route_gone()
        return self._drifted_inside(link, wanted if spec.runs_on is Kernel.SHARED else set())

    @staticmethod
    def _drifted_inside(link: rtnetlink.Link, wanted: set[Address]) -> Said | None:
        """What root inside, or a tool of his, took away of what was given."""
        if not link.has_carrier:
            return drift.link_down_inside()
        if not wanted or link.peer_index is None or link.peer_namespace is None:
            return None
        with Rtnetlink() as netlink:
            there = netlink.addresses_at(link.peer_index, link.peer_namespace, _MOST_INSIDE)
        if there is None or wanted <= there:
            return None
        return drift.address_gone_inside(min(str(one) for one in wanted - there))


def _host_routes() -> dict[int, set[Address]]:
    with Rtnetlink() as netlink:
        return netlink.all_host_routes()
