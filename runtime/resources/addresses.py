"""Addresses inside, routes to them outside, and the permanent neighbour entries of both sides."""

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host.netlink import IPRoute, NetlinkError, inside, link_index
from runtime.host.oci import init_pid
from runtime.network.addressing import (
    GATEWAY4,
    GATEWAY6,
    HOST_MAC,
    INTERFACE,
    guest_link_local,
    guest_mac,
)
from runtime.resources.base import Found, Resource

Address = IPv4Address | IPv6Address
_PERMANENT = 0x80  # NUD_PERMANENT, linux/neighbour.h
_LINK_SCOPE = 253  # RT_SCOPE_LINK, linux/rtnetlink.h


def _prefix(address: Address) -> int:
    return address.max_prefixlen


class Addresses(Resource):
    name = "addresses and routes"

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        index = link_index(self.node.link_name(spec.id))
        pid = init_pid(self.node, spec.id)
        if index is None or pid is None:
            raise RuntimeFault("its network link is gone", code="link_gone")
        wanted: set[Address] = {*spec.network.ipv4, *spec.network.ipv6}
        try:
            made = inside(pid, lambda ip: self._ensure_inside(ip, wanted))
            with IPRoute() as ip:
                self._ensure_outside(ip, index, spec.id, wanted)
        except NetlinkError as error:
            raise RuntimeFault(f"an address or route was refused: {error}", code="address_failed") from error
        return ", ".join(sorted(str(one) for one in made)) if made else None

    # inside ------------------------------------------------------------------------------------

    @staticmethod
    def _ensure_inside(ip: IPRoute, wanted: set[Address]) -> set[Address]:
        """Only what the spec gave or gives is touched: what root inside added stays (and is not routed)."""
        eth = socket.if_nametoindex(INTERFACE)
        present = {ip_address(one.get("address")): one for one in ip.get_addr(index=eth)}
        up = present and any(one for one in present)
        missing = wanted - set(present)
        for address in sorted(missing, key=str):
            flags = {"flags": 0x02} if address.version == 6 else {}  # IFA_F_NODAD
            ip.addr("add", index=eth, address=str(address), prefixlen=_prefix(address), **flags)
        for address in set(present) - wanted:
            if not address.is_link_local:
                ip.addr("del", index=eth, address=str(address), prefixlen=present[address]["prefixlen"])
        if up and not missing:
            return set()
        ip.link("set", index=socket.if_nametoindex("lo"), state="up")
        ip.link("set", index=eth, state="up")
        Addresses._gateways(ip, eth, wanted)
        return missing

    @staticmethod
    def _gateways(ip: IPRoute, eth: int, wanted: set[Address]) -> None:
        source4 = next((str(one) for one in sorted(wanted, key=str) if one.version == 4), None)
        source6 = next((str(one) for one in sorted(wanted, key=str) if one.version == 6), None)
        if source4:
            ip.neigh("replace", dst=str(GATEWAY4), lladdr=HOST_MAC, ifindex=eth, state=_PERMANENT)
            ip.route("replace", dst=f"{GATEWAY4}/32", oif=eth, scope=_LINK_SCOPE)
            ip.route("replace", dst="0.0.0.0/0", gateway=str(GATEWAY4), oif=eth, prefsrc=source4)
        if source6:
            ip.neigh("replace", dst=str(GATEWAY6), lladdr=HOST_MAC, ifindex=eth, state=_PERMANENT)
            ip.route("replace", dst="::/0", gateway=str(GATEWAY6), oif=eth, family=socket.AF_INET6)

    # outside -----------------------------------------------------------------------------------

    @staticmethod
    def _ensure_outside(ip: IPRoute, index: int, environment_id: UUID, wanted: set[Address]) -> None:
        present = Addresses._routes(ip, index)
        if ip.link("get", index=index)[0].get("state") != "up":
            ip.link("set", index=index, state="up")
            with suppress(NetlinkError):
                ip.addr("add", index=index, address=str(GATEWAY6), prefixlen=64, flags=0x02)
            local = str(guest_link_local(environment_id))
            ip.neigh("replace", dst=local, lladdr=guest_mac(environment_id), ifindex=index, state=_PERMANENT)
        for address in wanted - present:
            mac = guest_mac(environment_id)
            ip.neigh("replace", dst=str(address), lladdr=mac, ifindex=index, state=_PERMANENT)
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            ip.route("replace", dst=f"{address}/{_prefix(address)}", oif=index, family=family)
        for address in present - wanted:
            ip.route("del", dst=f"{address}/{_prefix(address)}", oif=index)
            with suppress(NetlinkError):
                ip.neigh("del", dst=str(address), ifindex=index)

    @staticmethod
    def _routes(ip: IPRoute, index: int) -> set[Address]:
        """Host routes to single addresses over this link, in the main table."""
        found: set[Address] = set()
        for family in (socket.AF_INET, socket.AF_INET6):
            for route in ip.get_routes(family=family, oif=index, table=254):
                destination = route.get("dst")
                if destination and route["dst_len"] in (32, 128) and route.get("oif") == index:
                    found.add(ip_address(destination))
        return {one for one in found if not one.is_link_local and not one.is_multicast}

    def remove(self, environment_id: UUID) -> str | None:
        return None  # addresses and routes go with their link

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        index = link_index(self.node.link_name(environment_id))
        if index is None:
            return None
        with IPRoute() as ip:
            return {"routed": sorted(str(one) for one in self._routes(ip, index))}

    def inventory(self) -> Iterable[Found]:
        return ()  # what is left of them is left with a link

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        seen = self.inspect(spec.id)
        wanted = {str(one) for one in (*spec.network.ipv4, *spec.network.ipv6)}
        if seen is None or set(seen["routed"]) != wanted:
            return "a route to it is gone"
        return None
