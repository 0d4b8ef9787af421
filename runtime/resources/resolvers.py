"""Which resolvers environments of this node ask."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from runtime.contract import EnvironmentSpec
from runtime.node import Node

Address = IPv4Address | IPv6Address


def nameservers_of(node: Node) -> list[Address]:
    """The node's setting, else the host's own resolvers that aren't on the host itself; at most three."""
    if node.settings.nameservers:
        return [ip_address(one) for one in node.settings.nameservers][:3]
    found: list[Address] = []
    for path in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
        file = Path(path)
        if not file.exists() or found:
            continue
        for line in file.read_text().splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver":
                try:
                    address = ip_address(words[1].partition("%")[0])
                except ValueError:
                    continue
                if not address.is_loopback and not address.is_link_local:
                    found.append(address)
    return found[:3]


def nameservers(node: Node, spec: EnvironmentSpec) -> list[Address]:
    """Those of the spec, else those of the node."""
    return list(spec.network.nameservers) or nameservers_of(node)
