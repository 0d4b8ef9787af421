"""The node's firewall: text for the fixed part, typed JSON for what belongs to an environment.

One environment is some set elements and no rule, so the cost of a packet, and that of a change, doesn't
grow with their number, and a link that has no elements can send nothing: the guard stands before any
link does. The fixed part holds nothing that a tenant chose; the rest is never text (nft(8),
libnftables-json(5)).

The guard sits in the prerouting hook, before defragmentation and connection tracking, and not in the
netdev family's ingress hook: frames that a shaped link's ingress redirects to an intermediate device
come back behind that hook and would pass it unseen (__netif_receive_skb_core, `skip_classify`).
ARP has a table of its own. Other ethertypes have no receiver on a routed link.
"""

import hashlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.network.addressing import GATEWAY4, guest_link_local, guest_mac, tenant_marks

#: Tracked flows that one environment may have opened at once.
FLOWS_PER_ENVIRONMENT = 16_384
METADATA4 = "169.254.0.0/16"
METADATA6 = "fd00:ec2::254"
PRIVATE4 = (
    "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, 0.0.0.0/8, "
    "192.0.0.0/24, 198.18.0.0/15, 240.0.0.0/4"
)
#: Unique local, link-local, and the ways to put an IPv4 address into an IPv6 one (RFC 6052, RFC 3056).
PRIVATE6 = "fc00::/7, fe80::/10, 64:ff9b::/96, 2002::/16"

#: Sets that hold elements of environments, by the family of their table.
SETS: dict[str, tuple[str, ...]] = {
    "arp": ("senders",),
    "inet": (
        "sources4",
        "sources6",
        "sent",
        "received",
        "may_private",
        "may_smtp",
        "tenant_low",
        "tenant_high",
        "member_low",
        "member_high",
        "forward4",
        "forward6",
    ),
}

Address = IPv4Address | IPv6Address
Elements = dict[str, list[Any]]
"""Elements by set name, in the form of libnftables-json."""


def base(
    table: str,
    link_prefix: str,
    ipv4: IPv4Network | None,
    ipv6: IPv6Network | None,
    nameservers: list[Address],
) -> str:
    """The fixed part of both tables, as nft text.

    Loading it over an earlier edition replaces the rules and leaves the elements.
    """
    links = f'"{link_prefix}*"'
    names4 = ", ".join(str(one) for one in nameservers if one.version == 4) or "0.0.0.0"
    names6 = ", ".join(str(one) for one in nameservers if one.version == 6) or "::"
    masquerade = ""
    if ipv4:
        masquerade += f"ip saddr {ipv4} oifname != {links} masquerade\n"
    if ipv6:
        masquerade += f"    ip6 saddr {ipv6} oifname != {links} masquerade\n"
    rules = f"""
table arp {table} {{
  set senders {{ type ifname . ether_addr . ipv4_addr; }}
  set pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  chain input {{
    type filter hook input priority 0; policy accept;
    iifname {links} goto guard
  }}
  chain guard {{
    arp htype != 1 drop
    arp operation != request drop
    arp daddr ip != {GATEWAY4} drop
    iifname . arp saddr ether . arp saddr ip != @senders drop
    update @pace {{ iifname limit rate over 100/second burst 200 packets }} drop
    accept
  }}
}}
table inet {table} {{
  set sources4 {{ type ifname . ether_addr . ipv4_addr; }}
  set sources6 {{ type ifname . ether_addr . ipv6_addr; }}
  set sent {{ type ifname; counter; }}
  set received {{ type ifname; counter; }}
  set may_private {{ type ifname; }}
  set may_smtp {{ type ifname; }}
  map tenant_low {{ type ifname : mark; }}
  map tenant_high {{ type ifname : mark; }}
  set member_low {{ type ifname . mark; }}
  set member_high {{ type ifname . mark; }}
  map forward4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map forward6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
  set flows {{ type ifname; size 65535; flags dynamic; }}
  set multicast_pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set probe_pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set echo_pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set neighbour_pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  chain arrival {{
    type filter hook prerouting priority -450; policy accept;
    iifname {links} goto guard
  }}
  chain guard {{
    meta nfproto ipv4 goto guard_ip4
    meta nfproto ipv6 goto guard_ip6
    drop
  }}
  chain guard_ip4 {{
    iifname . ether saddr . ip saddr != @sources4 drop
    udp sport 67 drop
    ip protocol {{ ipv6, igmp }} drop
    ip daddr 224.0.0.0/4 update @multicast_pace {{ iifname limit rate over 200/second }} drop
    accept
  }}
  chain guard_ip6 {{
    iifname . ether saddr . ip6 saddr != @sources6 drop
    exthdr frag exists meta l4proto ipv6-icmp drop
    ip6 nexthdr {{ 0, 43, 44, 60 }} jump guard_ip6_extension
    icmpv6 type {{ nd-router-advert, nd-redirect, router-renumbering, mld-listener-query }} drop
    icmpv6 type nd-neighbor-advert drop
    ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, mld-listener-report, mld2-listener-report }} \
update @probe_pace {{ iifname limit rate 20/second }} accept
    ip6 saddr :: drop
    udp sport 547 drop
    ip6 daddr ff00::/8 update @multicast_pace {{ iifname limit rate over 200/second }} drop
    accept
  }}
  chain guard_ip6_extension {{
    ip6 nexthdr 0 icmpv6 type {{ mld-listener-report, mld2-listener-report, mld-listener-done }} return
    ip6 daddr ff00::/8 drop
    exthdr frag exists ip6 daddr fe80::/10 drop
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname {links} jump to_host
  }}
  chain to_host {{
    icmp type echo-request update @echo_pace {{ iifname limit rate over 10/second burst 20 packets }} drop
    icmpv6 type echo-request update @echo_pace {{ iifname limit rate over 10/second burst 20 packets }} drop
    ct state established,related accept
    ct state invalid drop
    icmp type echo-request accept
    icmpv6 type echo-request accept
    icmpv6 type {{ nd-neighbor-solicit, mld-listener-report, mld2-listener-report }} \
update @neighbour_pace {{ iifname limit rate 50/second }} accept
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
    oifname {links} goto between_environments
    ip daddr {METADATA4} drop
    ip6 daddr {METADATA6} drop
    ip daddr {{ {names4} }} meta l4proto {{ tcp, udp }} th dport 53 goto admit
    ip6 daddr {{ {names6} }} meta l4proto {{ tcp, udp }} th dport 53 goto admit
    ip daddr {{ {PRIVATE4} }} iifname != @may_private drop
    ip6 daddr {{ {PRIVATE6} }} iifname != @may_private drop
    tcp dport 25 iifname != @may_smtp reject with tcp reset
    goto admit
  }}
  chain between_environments {{
    ct status dnat goto admit
    meta mark set iifname map @tenant_low
    oifname . meta mark != @member_low drop
    meta mark set iifname map @tenant_high
    oifname . meta mark != @member_high drop
    meta mark set 0
    goto admit
  }}
  chain admit {{
    add @flows {{ iifname ct count over {FLOWS_PER_ENVIRONMENT} }} drop
    accept
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
    ip6 daddr ::1 return
    jump forwards
  }}
  chain forwards {{
    fib daddr type != local return
    meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . th dport map @forward4
    meta l4proto {{ tcp, udp }} dnat ip6 to meta l4proto . th dport map @forward6
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    iifname {links} oifname {links} ct status dnat masquerade
    {masquerade}
  }}
  chain count {{
    type filter hook postrouting priority 300; policy accept;
    iifname @sent
    oifname @received
  }}
}}
"""  # noqa: S608 (these are no SQL)
    return f"{_emptied(table, rules)}\n{rules}\ntable inet {table} {{\n  chain {edition(rules)} {{ }}\n}}\n"


def edition(rules: str) -> str:
    """Name of the empty chain by which a loaded fixed part is known."""
    return f"edition_{hashlib.sha256(rules.encode()).hexdigest()[:12]}"


def edition_of(text: str) -> str:
    """The edition that a whole text of `base` declares."""
    return text.rpartition("chain edition_")[2].split()[0].join(("edition_", ""))


def _emptied(table: str, rules: str) -> str:
    """Declares every chain and takes its rules away, so that loading again doesn't double them."""
    lines: list[str] = []
    family = ""
    written = rules.splitlines()
    for line, following in pairwise(written):
        words = line.split()
        if words[:1] == ["table"]:
            family = words[1]
        elif words[:1] == ["chain"]:
            hook = f" {{ {following.strip()} }}" if following.split()[0] == "type" else ""
            name = f"chain {family} {table} {words[1]}"
            lines += [f"add {name}{hook}", f"flush {name}"]
    return "\n".join([f"add table arp {table}", f"add table inet {table}", *lines])


def elements(spec: EnvironmentSpec, link: str) -> dict[str, Elements]:
    """What the environment is in the firewall: by family of the table, then by set.

    As whom it may send, where to, whose neighbour it is, and which ports of the node lead to it (to its
    first address of a family).
    """
    network = spec.network
    mac = guest_mac(spec.id)
    low, high = tenant_marks(spec.tenant_id)
    # the unspecified address: duplicate address detection and multicast reports of its kernel
    sources6 = [*network.ipv6, guest_link_local(spec.id), IPv6Address("::")]
    return {
        "arp": {"senders": [_concat(link, mac, str(one)) for one in network.ipv4]},
        "inet": {
            "sources4": [_concat(link, mac, str(one)) for one in network.ipv4],
            "sources6": [_concat(link, mac, str(one)) for one in sources6],
            "sent": [_owned(link, spec.id)],
            "received": [_owned(link, spec.id)],
            "may_private": [link] if network.allow_private else [],
            "may_smtp": [link] if network.allow_smtp else [],
            "tenant_low": [[link, low]],
            "tenant_high": [[link, high]],
            "member_low": [_concat(link, low)],
            "member_high": [_concat(link, high)],
            "forward4": _forwards(spec, network.ipv4),
            "forward6": _forwards(spec, network.ipv6),
        },
    }


def _forwards(spec: EnvironmentSpec, addresses: tuple[IPv4Address, ...] | tuple[IPv6Address, ...]) -> list[Any]:
    if not addresses:
        return []
    first = str(addresses[0])
    return [[_concat(one.protocol, one.node_port), _concat(first, one.port)] for one in spec.network.forwards]


def _concat(*parts: Any) -> dict[str, Any]:
    return {"concat": list(parts)}


def _owned(link: str, environment_id: UUID) -> dict[str, Any]:
    """With the id as comment, so that what is left over says whose it was."""
    return {"elem": {"val": link, "comment": str(environment_id)}}


def plain(element: Any) -> Any:
    """An element as the kernel lists it, without counter, comment and handle, to be compared."""
    if isinstance(element, dict) and "elem" in element:
        return plain(element["elem"]["val"])
    if isinstance(element, dict) and "concat" in element:
        return tuple(plain(one) for one in element["concat"])
    if isinstance(element, list | tuple):
        return tuple(plain(one) for one in element)
    return element


def element_commands(verb: str, table: str, chosen: dict[str, Elements]) -> list[dict[str, Any]]:
    """`add element` or `delete element` of libnftables-json, for all that was chosen."""
    return [
        {verb: {"element": {"family": family, "table": table, "name": name, "elem": some}}}
        for family, sets in chosen.items()
        for name, some in sets.items()
        if some
    ]


def without(these: dict[str, Elements], those: dict[str, Elements]) -> dict[str, Elements]:
    """What is in `these` and not in `those`."""
    return missing(these, values(those))


Values = dict[str, set[Any]]
"""Elements in the form of `plain`, by set; no set of one family has the name of another's."""


def values(chosen: dict[str, Elements]) -> Values:
    return {name: {plain(one) for one in some} for sets in chosen.values() for name, some in sets.items()}


def missing(these: dict[str, Elements], present: Values) -> dict[str, Elements]:
    """What of `these` isn't present."""
    return {
        family: {
            name: [one for one in some if plain(one) not in present.get(name, ())]
            for name, some in sets.items()
        }
        for family, sets in these.items()
    }


def together(these: dict[str, Elements], those: dict[str, Elements]) -> dict[str, Elements]:
    """What is in any of both."""
    more = without(those, these)
    return {
        family: {
            name: [*these.get(family, {}).get(name, []), *more.get(family, {}).get(name, [])] for name in names
        }
        for family, names in SETS.items()
    }


def is_empty(chosen: dict[str, Elements]) -> bool:
    return not any(some for sets in chosen.values() for some in sets.values())


def of_link(listed: dict[str, Elements], link: str, addresses: set[str]) -> dict[str, Elements]:
    """Of all elements of the tables, those of one link, and the forwards to its addresses."""

    def owned(name: str, element: Any) -> bool:
        value = plain(element)
        if name.startswith("forward"):
            return value[1][0] in addresses
        while isinstance(value, tuple):
            value = value[0]
        return bool(value == link)

    return {
        family: {name: [one for one in listed[family].get(name, []) if owned(name, one)] for name in names}
        for family, names in SETS.items()
    }


def addresses_of(listed: dict[str, Elements], link: str) -> set[str]:
    """Addresses that a link may send from, as its elements say."""
    values = [plain(one) for name in ("sources4", "sources6") for one in listed["inet"].get(name, [])]
    return {value[2] for value in values if value[0] == link}
