"""The network link: a veth pair, routed and not bridged, so that no two environments share a segment."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host.netlink import IPRoute, NetlinkError, link_index, set_interface
from runtime.host.oci import init_pid
from runtime.network.addressing import HOST_MAC, INTERFACE, guest_mac
from runtime.resources.base import Found, Resource

ALIAS = "wadah:"
MTU = 1500

#: Host side: answers for the gateway, learns nothing, believes nothing.
HOST_SETTINGS = {
    "ipv4/conf/%s/proxy_arp": "1",
    "ipv4/conf/%s/forwarding": "1",
    "ipv4/conf/%s/rp_filter": "1",
    "ipv4/conf/%s/accept_redirects": "0",
    "ipv4/conf/%s/send_redirects": "0",
    "ipv4/conf/%s/accept_source_route": "0",
    "ipv4/neigh/%s/proxy_delay": "0",
    "ipv6/conf/%s/accept_ra": "0",
    "ipv6/conf/%s/accept_redirects": "0",
    "ipv6/conf/%s/autoconf": "0",
    "ipv6/conf/%s/accept_dad": "0",
    "ipv6/conf/%s/forwarding": "1",
}


class Link(Resource):
    """Made down; `Addresses` brings it up when the firewall stands."""

    name = "network link"

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        link = self.node.link_name(spec.id)
        if link_index(link) is not None:
            return None
        pid = init_pid(self.node, spec.id)
        if pid is None:
            raise RuntimeFault("its init is gone before its network was made", code="init_gone")
        peer = {"ifname": INTERFACE, "address": guest_mac(spec.id), "mtu": MTU, "net_ns_pid": pid}
        try:
            with IPRoute() as ip:
                ip.link("add", ifname=link, kind="veth", peer=peer, address=HOST_MAC, mtu=MTU)
                ip.link("set", ifname=link, ifalias=f"{ALIAS}{spec.id}")
        except NetlinkError as error:
            raise RuntimeFault(f"the network link can't be made: {error}", code="link_failed") from error
        set_interface(link, HOST_SETTINGS)
        return link

    def remove(self, environment_id: UUID) -> str | None:
        """A link goes with its namespace; this takes away one whose namespace somehow lives."""
        index = link_index(self.node.link_name(environment_id))
        if index is not None and init_pid(self.node, environment_id) is not None:
            self._delete(index)
        return None

    @staticmethod
    def _delete(index: int) -> None:
        with suppress(NetlinkError), IPRoute() as ip:
            ip.link("del", index=index)

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        name = self.node.link_name(environment_id)
        index = link_index(name)
        if index is None:
            return None
        with IPRoute() as ip:
            found = ip.link("get", index=index)
        if not found:
            return None
        link = found[0]
        stats = link.get("stats64") or {}
        return {
            "link": name,
            "index": index,
            "state": link.get("state"),
            "mac_inside": guest_mac(environment_id),
            # what leaves the host enters the environment
            "in_bytes": stats.get("tx_bytes", 0),
            "out_bytes": stats.get("rx_bytes", 0),
        }

    def traffic(self, environment_id: UUID) -> tuple[int, int]:
        """Bytes into and out of the environment since the link was made; zeros without one."""
        seen = self.inspect(environment_id)
        return (int(seen["in_bytes"]), int(seen["out_bytes"])) if seen else (0, 0)

    def inventory(self) -> Iterable[Found]:
        with IPRoute() as ip:
            for link in ip.get_links():
                name = str(link.get("ifname", ""))
                alias = str(link.get("ifalias") or "")
                if not name.startswith(self.node.link_prefix) or not alias.startswith(ALIAS):
                    continue
                try:
                    owner: UUID | None = UUID(alias.removeprefix(ALIAS))
                except ValueError:
                    owner = None
                yield Found(self.name, owner, name)

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        seen = self.inspect(spec.id)
        if seen is None:
            return "its network link is gone"
        return None if seen["state"] == "up" else "its network link is down"
