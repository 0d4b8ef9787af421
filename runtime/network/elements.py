"""What an environment is in the node's firewall: elements of the sets of the fixed part, and no rule.

So the cost of a packet, and that of a change, doesn't grow with the number of environments. Elements are typed
JSON, never text (libnftables-json(5)).
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec, Network
from runtime.host.conntrack import Forwarded
from runtime.network.addressing import guest_link_local, guest_mac, tenant_marks

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


def of_environment(spec: EnvironmentSpec, link: str) -> dict[str, Elements]:
    """What the environment is in the firewall: by family of the table, then by set.

    As whom it may send, where to, whose neighbour it is, and which ports of the node lead to it (to its
    first address of a family). One that is
    closed has no part in the network: it may send nothing, and nothing leads to it.
    """
    network = spec.network
    if network.closed:
        network = Network(interfaces=())
    mac = guest_mac(spec.id)
    low, high = tenant_marks(spec.tenant_id)
    # the unspecified address: duplicate address detection and multicast reports of its kernel
    own6 = [] if spec.network.closed else [guest_link_local(spec.id), IPv6Address("::")]
    sources6 = [*network.ipv6, *own6]
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
            "member_low": [] if spec.network.closed else [_concat(link, low)],
            "member_high": [] if spec.network.closed else [_concat(link, high)],
            "forward4": _forwards(network, network.ipv4),
            "forward6": _forwards(network, network.ipv6),
        },
    }


def _forwards(network: Network, addresses: tuple[IPv4Address, ...] | tuple[IPv6Address, ...]) -> list[Any]:
    if not addresses:
        return []
    first = str(addresses[0])
    return [[_concat(one.protocol, one.node_port), _concat(first, one.port)] for one in network.forwards]


def ways_in(chosen: dict[str, Elements]) -> tuple[set[Address], set[Forwarded]]:
    """The addresses that may be sent from, and the forwards, that these elements stand for: what flows hang on.
    Without link-local addresses, by which nothing passes the node."""
    names = ("sources4", "sources6")
    sources = {ip_address(plain(one)[2]) for name in names for one in chosen.get("inet", {}).get(name, [])}
    forwards = set()
    for name in ("forward4", "forward6"):
        for (protocol, node_port), (address, port) in map(plain, chosen.get("inet", {}).get(name, [])):
            forwards.add(Forwarded(protocol, node_port, ip_address(address), port))
    return {one for one in sources if not (one.is_link_local or one.is_unspecified)}, forwards


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
