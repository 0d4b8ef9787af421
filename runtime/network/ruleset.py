"""The fixed part of the node's firewall, as nft(8) text. It holds nothing that a tenant chose.

What belongs to an environment is elements of its sets (`runtime.network.elements`). A link that has none can
send nothing: the guard stands before any link does.

The guard sits in the prerouting hook, before defragmentation and connection tracking, and not in the
netdev family's ingress hook: frames that a shaped link's ingress redirects to an intermediate device
come back behind that hook and would pass it unseen (__netif_receive_skb_core, `skip_classify`).
ARP has a table of its own. Other ethertypes have no receiver on a routed link.
"""

import hashlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise

from runtime.network.addressing import CLOUD4, CLOUD6, GATEWAY4

#: Tracked flows that one environment may have opened at once, and as many that others opened to it. They are
#: counted in parts, since the kernel looks at each that it counts: 2 ms of processor for one packet at 8,000.
FLOWS_PER_ENVIRONMENT, _PARTS = 16_384, 64
#: New ones a second, each way: those that have ended stay in the kernel's table for up to two minutes
#: (`nf_conntrack_tcp_timeout_time_wait`), and aren't counted any more.
FLOWS_PER_SECOND = 500
#: Ports of the node that flows out of environments leave by, unless its forwards have one of them
#: (the kernel's own choice for `ip_local_port_range`: by convention nothing serves there).
WAY_OUT = (32_768, 60_999)
#: With fewer the flows of all environments to one place would soon have none left.
_FEWEST_WAYS_OUT = 4096
METADATA4 = "169.254.0.0/16"
METADATA6 = "fd00:ec2::254"
PRIVATE4 = (
    "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 127.0.0.0/8, 0.0.0.0/8, "
    "192.0.0.0/24, 198.18.0.0/15, 240.0.0.0/4"
)
#: Unique local, link-local, site-local, and the ways to put an IPv4 address into an IPv6 one
#: (RFC 6052, RFC 8215, RFC 3056).
PRIVATE6 = "fc00::/7, fe80::/10, fec0::/10, 64:ff9b::/96, 64:ff9b:1::/48, 2002::/16"

Address = IPv4Address | IPv6Address


def base(
    table: str,
    link_prefix: str,
    ipv4: IPv4Network | None,
    ipv6: IPv6Network | None,
    *,
    nameservers: list[Address],
    forward_ports: tuple[int, int],
) -> str:
    """The fixed part of both tables, as nft text.

    Loading it over an earlier edition replaces the rules and leaves the elements.
    """
    links = f'"{link_prefix}*"'
    names4 = ", ".join(str(one) for one in nameservers if one.version == 4) or "0.0.0.0"
    names6 = ", ".join(str(one) for one in nameservers if one.version == 6) or "::"
    out = _way_out(forward_ports)
    pace = f"limit rate over {FLOWS_PER_SECOND}/second burst {FLOWS_PER_ENVIRONMENT} packets"
    part = f"jhash ct id mod {_PARTS} ct count over {FLOWS_PER_ENVIRONMENT // _PARTS}"
    masquerade = ""
    for family, network in (("ip", ipv4), ("ip6", ipv6)):
        if network:
            masquerade += f"    {family} saddr {network} oifname != {links} jump way_out\n"
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
  set flows_out {{ type ifname . mark; size 1048576; flags dynamic; }}
  set flows_in {{ type ifname . mark; size 1048576; flags dynamic; }}
  set flow_pace {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
  set flow_pace_in {{ type ifname; size 65535; flags dynamic,timeout; timeout 1m; }}
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
    ct state established accept
    ct state related goto related
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
    ct state established accept
    ct state related goto related
    ct state invalid drop
    oifname {links} goto between_environments
    ip daddr {METADATA4} drop
    ip6 daddr {METADATA6} drop
    ip daddr {{ {names4} }} meta l4proto {{ tcp, udp }} th dport 53 goto admit
    ip6 daddr {{ {names6} }} meta l4proto {{ tcp, udp }} th dport 53 goto admit
    ip daddr {{ {", ".join(map(str, CLOUD4))} }} drop
    ip6 daddr {{ {", ".join(map(str, CLOUD6))} }} drop
    ip daddr {{ {PRIVATE4} }} iifname != @may_private drop
    ip6 daddr {{ {PRIVATE6} }} iifname != @may_private drop
    tcp dport 25 iifname != @may_smtp reject with tcp reset
    goto admit
  }}
  chain related {{
    iifname . ether saddr . ct original ip saddr @sources4 accept
    iifname . ether saddr . ct reply ip saddr @sources4 accept
    iifname . ether saddr . ct original ip6 saddr @sources6 accept
    iifname . ether saddr . ct reply ip6 saddr @sources6 accept
    drop
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
    ct status confirmed accept
    update @flow_pace {{ iifname {pace} }} drop
    add @flows_out {{ iifname . {part} }} drop
    accept
  }}
  chain to_environment {{
    ct state established,related accept
    ct state invalid drop
    ct status confirmed accept
    update @flow_pace_in {{ oifname {pace} }} drop
    add @flows_in {{ oifname . {part} }} drop
    accept
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    fib daddr type != local return
    socket wildcard {{ 0, 1 }} return
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
{masquerade}  }}
  chain way_out {{
    meta l4proto {{ tcp, udp }} masquerade{out}
    masquerade
  }}
  chain count {{
    type filter hook postrouting priority 300; policy accept;
    iifname @sent
    oifname @received
  }}
}}
"""  # noqa: S608 (these are no SQL)
    return f"{_emptied(table, rules)}\n{rules}\ntable inet {table} {{\n  chain {edition(rules)} {{ }}\n}}\n"


def _way_out(forward_ports: tuple[int, int]) -> str:
    """Which ports flows out of environments leave by, as nft text.

    Never one that a forward may have, nor a low one: the kernel keeps the sender's own port where it can, so
    an environment could speak as another's forward or as a service of the node, and a flow that it began
    towards somebody's fixed port would bring it what that one sends to the forward.
    """
    first, last = forward_ports
    beside = ((1024, first - 1), (last + 1, 65_535))
    is_apart = WAY_OUT[1] < first or WAY_OUT[0] > last
    low, high = WAY_OUT if is_apart else max(beside, key=lambda ports: ports[1] - ports[0])
    return f" to :{low}-{high}" if high - low >= _FEWEST_WAYS_OUT else ""


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
