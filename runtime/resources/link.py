"""The network link: a veth pair, routed and not bridged, so that no two environments share a segment."""

import errno
import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import drift, refusals, steps
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host import rtnetlink
from runtime.host.netlink import Rtnetlink, set_interface
from runtime.host.rtnetlink import Veth
from runtime.network.addressing import HOST_MAC, guest_mac, interface_name
from runtime.resources.base import Found, Sandboxed
from runtime.resources.namespaces import network_namespace

ALIAS = "wadah:"
MTU = 1500

#: Host side: answers only for the gateway, learns nothing, believes nothing.
HOST_SETTINGS = {
    "ipv4/conf/%s/arp_ignore": "1",
    "ipv4/conf/%s/forwarding": "1",
    "ipv4/conf/%s/rp_filter": "1",
    "ipv4/conf/%s/accept_redirects": "0",
    "ipv4/conf/%s/send_redirects": "0",
    "ipv4/conf/%s/accept_source_route": "0",
    "ipv4/conf/%s/route_localnet": "0",
    "ipv6/conf/%s/accept_ra": "0",
    "ipv6/conf/%s/accept_redirects": "0",
    "ipv6/conf/%s/autoconf": "0",
    "ipv6/conf/%s/accept_dad": "0",
    "ipv6/conf/%s/addr_gen_mode": "1",
    "ipv6/conf/%s/forwarding": "1",
}


class Link(Sandboxed):
    """Made down; `Addresses` brings it up when the firewall stands."""

    name = "network link"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        name = self.node.link_name(spec.id)
        try:
            with network_namespace(self.sandbox, spec.id) as namespace, Rtnetlink() as netlink:
                made = self._ensure(netlink, spec.id, name, namespace)
        except OSError as error:
            raise RuntimeFault(refusals.link_not_made(str(error.strerror)), code="link_failed") from error
        set_interface(name, HOST_SETTINGS)
        return steps.made() if made else None

    @staticmethod
    def _ensure(netlink: Rtnetlink, environment_id: UUID, name: str, namespace: int) -> bool:
        alias = f"{ALIAS}{environment_id}"
        there = netlink.link(name)
        if there is not None:
            if there.alias == alias and there.peer_namespace == netlink.number_of(namespace):
                return False
            # the link of an earlier start, whose namespace the kernel hasn't finished taking away
            netlink.delete_link(there.index)
            netlink.send()
        inside = interface_name()
        netlink.add_veth(Veth(name, HOST_MAC, inside, guest_mac(environment_id), namespace, MTU, alias))
        try:
            netlink.send()
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise OSError(error.errno, f"there is an interface {inside} inside already") from error
            raise
        return True

    def remove(self, environment_id: UUID) -> Said | None:
        """A link goes with its namespace, off the way of those who wait (14.5 ms); this takes away one
        whose namespace lives on."""
        if self.sandbox.is_there(environment_id):
            with Rtnetlink() as netlink:
                there = netlink.link(self.node.link_name(environment_id))
                if there is not None:
                    netlink.delete_link(there.index)
                    netlink.send()
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        name = self.node.link_name(environment_id)
        with Rtnetlink() as netlink:
            link = netlink.link(name)
        if link is None:
            return None
        return {
            "link": name,
            "index": link.index,
            "state": "up" if link.up else "down",
            "mac_inside": guest_mac(environment_id),
            # what leaves the host enters the environment
            "in_bytes": link.sent_bytes,
            "out_bytes": link.received_bytes,
        }

    def traffic(self, environment_id: UUID) -> tuple[int, int]:
        """Bytes of frames into and out of the environment since the link was made, refused ones too;
        zeros without one. What passed is `Firewall.traffic`."""
        seen = self.inspect(environment_id)
        return (int(seen["in_bytes"]), int(seen["out_bytes"])) if seen else (0, 0)

    def inventory(self) -> Iterable[Found]:
        ours = re.compile(re.escape(self.node.link_prefix) + "[0-9a-f]{10}[0-9a-u]")
        with Rtnetlink() as netlink:
            links = netlink.links()
        for link in links:
            if not ours.fullmatch(link.name):
                continue
            try:
                owner: UUID | None = UUID(link.alias.removeprefix(ALIAS))
            except ValueError:
                owner = None
            yield Found(self.name, owner, link.name)

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        seen = links_by_name(glance).get(self.node.link_name(spec.id))
        if seen is None:
            return drift.link_gone()
        return None if seen.up else drift.link_down()


def links_by_name(glance: Glance) -> Mapping[str, rtnetlink.Link]:
    """Every link of this network namespace."""

    def look() -> dict[str, rtnetlink.Link]:
        with Rtnetlink() as netlink:
            return {link.name: link for link in netlink.links()}

    return glance.once("links", look)
