"""The node's firewall as text for the fixed part and typed JSON for what belongs to an environment.

Two tables of one name. `netdev`: what may enter the host from a link at all, by MAC and address, before
the host's own stack sees it; neighbour advertisements not at all, since the host's entries for
environments are permanent. `inet`: where an environment may send, NAT out, forwards in. One
environment is a hook and some set elements, so the cost of a packet doesn't grow with their number.
The fixed part holds nothing that a tenant chose; the rest is never text (see nft(8), libnftables-json(5)).
"""

from ipaddress import IPv4Network, IPv6Network
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.network.addressing import guest_link_local, guest_mac, tenant_mark

#: Tracked flows per source address.
FLOWS_PER_ADDRESS = 16_384
METADATA4 = "169.254.0.0/16"
METADATA6 = "fd00:ec2::254"
PRIVATE4 = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, 0.0.0.0/8"
PRIVATE6 = "fc00::/7, fe80::/10"

#: Sets of the inet table that hold elements of environments, with the type of their elements.
ELEMENT_SETS = ("may_private", "may_smtp", "tenant4", "tenant6", "member4", "member6", "forward4", "forward6")
GUARD_SETS = ("macs", "sources4", "sources6")


def base(
    table: str,
    link_prefix: str,
    ipv4: IPv4Network | None,
    ipv6: IPv6Network | None,
    nameservers: list[str],
) -> str:
    """The fixed part of both tables, as nft text. Loading it anew empties the sets."""
    links = f'"{link_prefix}*"'
    names4 = ", ".join(one for one in nameservers if ":" not in one) or "0.0.0.0"
    names6 = ", ".join(one for one in nameservers if ":" in one) or "::"
    masquerade = ""
    if ipv4:
        masquerade += f"ip saddr {ipv4} oifname != {links} masquerade\n"
    if ipv6:
        masquerade += f"ip6 saddr {ipv6} oifname != {links} masquerade\n"
    return f"""
table netdev {table} {{
  set macs {{ type ifname . ether_addr; }}
  set sources4 {{ type ifname . ipv4_addr; }}
  set sources6 {{ type ifname . ipv6_addr; }}
  chain guard {{
    iifname . ether saddr != @macs drop
    ether daddr 01:80:c2:00:00:00-01:80:c2:00:00:0f drop
    ether type arp goto guard_arp
    ether type ip goto guard_ip4
    ether type ip6 goto guard_ip6
    drop
  }}
  chain guard_arp {{
    arp htype != 1 drop
    iifname . arp saddr ether != @macs drop
    iifname . arp saddr ip != @sources4 arp saddr ip != 0.0.0.0 drop
    arp operation {{ request, reply }} limit rate 100/second burst 200 packets accept
    drop
  }}
  chain guard_ip4 {{
    iifname . ip saddr != @sources4 drop
    udp sport 67 drop
    ip protocol {{ ipv6, igmp }} drop
    ip daddr 224.0.0.0/4 limit rate over 200/second drop
    accept
  }}
  chain guard_ip6 {{
    exthdr frag exists meta l4proto ipv6-icmp drop
    ip6 nexthdr {{ 0, 43, 44, 60 }} jump guard_ip6_extension
    icmpv6 type {{ nd-router-advert, nd-redirect, router-renumbering, mld-listener-query }} drop
    icmpv6 type nd-neighbor-advert drop
    ip6 saddr :: icmpv6 type nd-neighbor-solicit limit rate 10/second accept
    ip6 saddr :: icmpv6 type {{ mld-listener-report, mld2-listener-report }} limit rate 10/second accept
    iifname . ip6 saddr != @sources6 drop
    udp sport 547 drop
    ip6 daddr ff00::/8 limit rate over 200/second drop
    accept
  }}
  chain guard_ip6_extension {{
    ip6 daddr ff00::/8 ip6 nexthdr != 0 drop
    ip6 nexthdr 0 icmpv6 type {{ mld-listener-report, mld2-listener-report, mld-listener-done }} return
    ip6 daddr ff00::/8 drop
    exthdr frag exists ip6 daddr fe80::/10 drop
  }}
}}
table inet {table} {{
  set may_private {{ type ifname; }}
  set may_smtp {{ type ifname; }}
  set flows4 {{ type ipv4_addr; size 65536; flags dynamic; }}
  set flows6 {{ type ipv6_addr; size 65536; flags dynamic; }}
  map tenant4 {{ type ipv4_addr : mark; }}
  map tenant6 {{ type ipv6_addr : mark; }}
  set member4 {{ type ipv4_addr . mark; }}
  set member6 {{ type ipv6_addr . mark; }}
  map forward4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map forward6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname {links} jump to_host
  }}
  chain to_host {{
    ct state established,related accept
    ct state invalid drop
    icmp type echo-request limit rate 10/second accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} limit rate 200/second accept
    icmpv6 type echo-request limit rate 10/second accept
    drop
  }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    iifname {links} jump from_environment
    oifname {links} jump to_environment
  }}
  chain from_environment {{
    ct state established,related accept
    ct state invalid drop
    add @flows4 {{ ip saddr ct count over {FLOWS_PER_ADDRESS} }} drop
    add @flows6 {{ ip6 saddr ct count over {FLOWS_PER_ADDRESS} }} drop
    oifname {links} goto between_environments
    ip daddr {METADATA4} drop
    ip6 daddr {METADATA6} drop
    ip daddr {{ {names4} }} meta l4proto {{ tcp, udp }} th dport 53 accept
    ip6 daddr {{ {names6} }} meta l4proto {{ tcp, udp }} th dport 53 accept
    ip daddr {{ {PRIVATE4} }} iifname != @may_private drop
    ip6 daddr {{ {PRIVATE6} }} iifname != @may_private drop
    tcp dport 25 iifname != @may_smtp reject with tcp reset
    accept
  }}
  chain between_environments {{
    meta mark set ip saddr map @tenant4
    meta mark set ip6 saddr map @tenant6
    ip daddr . meta mark @member4 accept
    ip6 daddr . meta mark @member6 accept
    drop
  }}
  chain to_environment {{
    ct state invalid drop
    accept
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    jump forwards
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.0/8 return
    jump forwards
  }}
  chain forwards {{
    fib daddr type != local return
    meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . th dport map @forward4
    meta l4proto {{ tcp, udp }} dnat ip6 to meta l4proto . th dport map @forward6
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    {masquerade}
  }}
}}
"""


def chain_name(environment_id: UUID) -> str:
    """Of the hook chain of one link; hexadecimal, so that no text of a tenant is in it."""
    return f"ve_{environment_id.hex}"


Elements = dict[str, list[Any]]
"""Elements by set name, in the form of libnftables-json."""


def guard_elements(spec: EnvironmentSpec, link: str) -> Elements:
    """What the link may send as: its MAC and its own addresses."""
    sources6 = [*spec.network.ipv6, guest_link_local(spec.id)]
    return {
        "macs": [_concat(link, guest_mac(spec.id))],
        "sources4": [_concat(link, str(one)) for one in spec.network.ipv4],
        "sources6": [_concat(link, str(one)) for one in sources6],
    }


def policy_elements(spec: EnvironmentSpec, link: str) -> Elements:
    """Where it may send, whose neighbour it is, and which ports lead to it."""
    mark = tenant_mark(spec.tenant_id)
    network = spec.network
    first4 = str(network.ipv4[0]) if network.ipv4 else None
    first6 = str(network.ipv6[0]) if network.ipv6 else None
    forwards = network.forwards
    return {
        "may_private": [link] if network.allow_private else [],
        "may_smtp": [link] if network.allow_smtp else [],
        "tenant4": [[str(one), mark] for one in network.ipv4],
        "tenant6": [[str(one), mark] for one in network.ipv6],
        "member4": [_concat(str(one), mark) for one in network.ipv4],
        "member6": [_concat(str(one), mark) for one in network.ipv6],
        "forward4": [_forward(one.protocol, one.node_port, first4, one.port) for one in forwards if first4],
        "forward6": [_forward(one.protocol, one.node_port, first6, one.port) for one in forwards if first6],
    }


def _concat(*parts: Any) -> dict[str, Any]:
    return {"concat": list(parts)}


def _forward(protocol: str, node_port: int, address: str, port: int) -> list[Any]:
    return [_concat(protocol, node_port), _concat(address, port)]


def element_command(verb: str, family: str, table: str, name: str, elements: list[Any]) -> dict[str, Any]:
    """`add element` or `delete element` of libnftables-json."""
    return {verb: {"element": {"family": family, "table": table, "name": name, "elem": elements}}}
