"""The environment's part of the node's nftables tables: its elements in the sets of the fixed rules."""

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec, Forward
from runtime.contract.said import Said
from runtime.contract.words import advice, drift, refusals, steps
from runtime.errors import RuntimeFault
from runtime.files import replace_file
from runtime.glance import Glance
from runtime.host import conntrack, libc, nft, ports
from runtime.network import elements, ruleset
from runtime.network.elements import Elements, Values
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.resources.flows import EndingFlows
from runtime.resources.resolvers import nameservers_of
from runtime.state import Records

#: How old a picture of the tables may be when many environments are looked at in a row.
PICTURE_S = 2.0


def prepare(node: Node) -> list[str]:
    """Loads the fixed part when it isn't there as it should be, and lets this network namespace forward.

    Returns what it changed, a line each; empty when all was so. Only the namespace's forwarding is
    switched on; nothing else of the host is touched.
    """
    changed = [f"sysctl net.{name.replace('/', '.')}=1" for name in _forwarding()]
    if _keep_back(node.forward_ports):
        changed.append("sysctl net.ipv4.ip_local_reserved_ports, with the ports of forwards")
    text = _fixed(node)
    edition = ruleset.edition_of(text)
    picture = _look(node)
    if edition not in picture.chains or not picture.rules:
        old = [one for one in picture.chains if one.startswith("edition_") and one != edition]
        nft.load("\n".join([text, *(f"delete chain inet {node.table_name} {one}" for one in old)]))
        _recent.pop(node.home, None)
        changed.append(f"nftables table {node.table_name}")
    return changed


def _forwarding() -> list[str]:
    changed = []
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        path = Path("/proc/sys/net") / name
        with suppress(FileNotFoundError):
            if path.read_text().strip() != "1":
                path.write_text("1")
                changed.append(name)
    return changed


def _keep_back(forwards: tuple[int, int]) -> bool:
    """Keeps the kernel from giving a socket of the host such a port by itself; False when it doesn't anyway."""
    directory = Path("/proc/sys/net/ipv4")
    low, high = map(int, (directory / "ip_local_port_range").read_text().split())
    reserved = (directory / "ip_local_reserved_ports").read_text().strip()
    kept = [tuple(map(int, one.split("-"))) for one in reserved.split(",") if one]
    if (
        forwards[1] < low
        or forwards[0] > high
        or any(a[0] <= forwards[0] and forwards[1] <= a[-1] for a in kept)
    ):
        return False
    added = ",".join(filter(None, [reserved, f"{forwards[0]}-{forwards[1]}"]))
    (directory / "ip_local_reserved_ports").write_text(added)
    return True


def _fixed(node: Node) -> str:
    settings = node.settings
    return ruleset.base(
        node.table_name,
        node.link_prefix,
        settings.ipv4_network,
        settings.ipv6_network,
        nameservers=nameservers_of(node),
        forward_ports=node.forward_ports,
    )


def teardown(node: Node) -> None:
    """Deletes both tables; a no-op when they are gone."""
    for family in elements.SETS:
        with suppress(nft.NftError):
            nft.change([{"delete": {"table": {"family": family, "name": node.table_name}}}])


@dataclass
class _Picture:
    """The tables as the kernel listed them."""

    at: float
    chains: set[str] = field(default_factory=set)
    rules: int = 0
    elements: dict[str, Elements] = field(default_factory=dict)

    @cached_property
    def values(self) -> Values:
        return elements.values(self.elements)


def _look(node: Node) -> _Picture:
    """Both tables, read anew; empty where they are gone."""
    picture = _Picture(time.monotonic(), elements={family: {} for family in elements.SETS})
    rules = dict.fromkeys(elements.SETS, 0)
    for family in elements.SETS:
        for one in nft.query({"list": {"table": {"family": family, "name": node.table_name}}}):
            kind, what = next(iter(one.items()))
            if kind == "chain":
                picture.chains.add(what["name"])
            elif kind == "rule" and what["chain"] == "guard":
                rules[family] += 1
            elif kind in {"set", "map"}:
                picture.elements[family][what["name"]] = what.get("elem", [])
    picture.rules = min(rules.values())
    return picture


_recent: dict[Path, _Picture] = {}


def _recently(node: Node) -> _Picture:
    """At most `PICTURE_S` old: for looking at many environments, not for changing one."""
    picture = _recent.get(node.home)
    return _anew(node) if picture is None or time.monotonic() - picture.at > PICTURE_S else picture


def _anew(node: Node) -> _Picture:
    picture = _recent[node.home] = _look(node)
    return picture


class Firewall(Resource):
    """Comes before the link goes up; without it the link can send nothing, since the guard knows it not.

    What was asked of the kernel is noted beside the environment, for one transaction that takes away
    exactly what isn't wanted any more. The note is written before the change and only says what may be
    there; where it and the kernel differ, the kernel is read and counts.
    """

    name = "firewall"

    def __init__(self, node: Node):
        super().__init__(node)
        self._flows = EndingFlows(node)
        self._understood: dict[UUID, tuple[EnvironmentSpec, dict[str, Elements]]] = {}
        """What specs that were looked at say of the firewall."""

    def _note(self, environment_id: UUID) -> Path:
        return self.node.environment(environment_id) / "firewall.json"

    def _known(self, environment_id: UUID) -> dict[str, Elements] | None:
        """None without a note: nothing was asked for, or the environment's records are lost."""
        with suppress(OSError, ValueError, AttributeError):
            document = json.loads(self._note(environment_id).read_text())
            return {family: document.get(family, {}) for family in elements.SETS}
        return None

    def check(self, spec: EnvironmentSpec) -> None:
        """A new forward has a port of the range that is set aside for forwards, which nothing of the host has,
        and somewhere to lead to. One that led inside before is left alone: other ports were allowed then."""
        before = Records(self.node, spec.id).applied()
        known = before.network.forwards if before is not None else ()
        for forward in spec.network.forwards:
            if forward not in known:
                self._check_new(spec, forward)

    def _check_new(self, spec: EnvironmentSpec, forward: Forward) -> None:
        first, last = self.node.forward_ports
        if not first <= forward.node_port <= last:
            raise RuntimeFault(
                refusals.port_outside(forward.node_port, first, last),
                code="port_outside",
                next_step=advice.choose_a_port_of_that_range(),
            )
        if not spec.network.ipv4 and not spec.network.ipv6:
            raise RuntimeFault(
                refusals.no_address(),
                code="no_address",
                next_step=advice.add_an_address(),
            )
        if ports.is_taken(forward.protocol, forward.node_port):
            raise RuntimeFault(
                refusals.port_in_use(forward.node_port, forward.protocol),
                code="port_in_use",
                next_step=advice.choose_another_port(),
            )

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if self._rules_are_gone():
            prepare(self.node)  # flushed by somebody: the elements alone guard nothing
        wanted = elements.of_environment(spec, self.node.link_name(spec.id))
        known = self._known(spec.id)
        noted = known
        if known != wanted:
            noted = elements.together(known or {}, wanted)
            self._write(spec.id, noted)
        gone = elements.without(known or {}, wanted)
        try:
            self._change(gone, wanted)
        except nft.NftError:
            prepare(self.node)
            gone = elements.together(gone, self._converge(spec, wanted, known or {}))
        if known is None:
            self._flows.spare(spec.id, wanted)
        self._end_flows(gone, elements.without(wanted, known or {}))
        if noted != wanted:
            self._write(spec.id, wanted)
        if known == wanted:
            return None
        return steps.guarded() if known is None else steps.changed()

    @staticmethod
    def _end_flows(gone: dict[str, Elements], come: dict[str, Elements]) -> None:
        """What still flows by something that is gone, and what would keep a sender from something that came."""
        addresses, forwards = elements.ways_in(gone)
        _, new = elements.ways_in(come)
        if addresses or forwards:
            libc.wait_for_readers()
        conntrack.end(addresses, forwards, {one.node_port for one in new if one.protocol == "udp"})

    def _rules_are_gone(self) -> bool:
        """As the reconciler has just seen; nothing is read for it anew."""
        picture = _recent.get(self.node.home)
        return picture is not None and time.monotonic() - picture.at <= PICTURE_S and not picture.rules

    def _write(self, environment_id: UUID, note: dict[str, Elements]) -> None:
        replace_file(self._note(environment_id), json.dumps(note))

    def _change(self, gone: dict[str, Elements], wanted: dict[str, Elements]) -> None:
        """One transaction. To add what is there already is nothing to the kernel."""
        table = self.node.table_name
        nft.change(
            [
                *elements.element_commands("delete", table, gone),
                *elements.element_commands("add", table, wanted),
            ]
        )
        _recent.pop(self.node.home, None)

    def _converge(
        self, spec: EnvironmentSpec, wanted: dict[str, Elements], known: dict[str, Elements]
    ) -> dict[str, Elements]:
        """The long way: reads all elements, then changes from what is really there. Returns what is gone."""
        present = self._present(spec.id, {str(one) for one in (*spec.network.ipv4, *spec.network.ipv6)}, known)
        gone = elements.without(present, wanted)
        try:
            self._change(gone, wanted)
        except nft.NftError as error:
            if "File exists" in str(error):
                raise RuntimeFault(
                    refusals.port_taken(),
                    code="port_taken",
                    next_step=advice.choose_another_port(),
                ) from error
            raise
        return gone

    def _present(
        self, environment_id: UUID, addresses: set[str], known: dict[str, Elements]
    ) -> dict[str, Elements]:
        listed = _look(self.node).elements
        link = self.node.link_name(environment_id)
        addresses = addresses | elements.addresses_of(listed, link)
        if known:
            addresses |= elements.addresses_of({"arp": {}, "inet": {}, **known}, link)
        return elements.of_link(listed, link, addresses)

    def remove(self, environment_id: UUID) -> Said | None:
        known = self._known(environment_id)
        if known is None and not self._is_listed(environment_id):
            return None
        self._flows.note(environment_id, known or self._present(environment_id, set(), {}))
        try:
            self._change(known or {}, {})
        except nft.NftError:
            known = self._forget(environment_id, known or {})
        if known is None:
            self._forget(environment_id, {})
        self._note(environment_id).unlink(missing_ok=True)
        return None

    def tidy(self, spec: EnvironmentSpec) -> None:
        self.sweep()

    def sweep(self) -> int:
        """Ends the flows of environments that are down."""
        return self._flows.end()

    def _forget(self, environment_id: UUID, known: dict[str, Elements]) -> dict[str, Elements]:
        """Takes away whatever the kernel has of it."""
        self._change(self._present(environment_id, set(), known), {})
        return known

    def _is_listed(self, environment_id: UUID) -> bool:
        link = self.node.link_name(environment_id)
        return not elements.is_empty(elements.of_link(_recently(self.node).elements, link, set()))

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        link = self.node.link_name(environment_id)
        listed = _recently(self.node).elements
        addresses = elements.addresses_of(listed, link)
        mine = elements.of_link(listed, link, addresses)
        if elements.is_empty(mine):
            return None
        received, sent = self.traffic(environment_id)
        return {
            "sources": sorted(addresses),
            "forwards": [
                "{0[0]}/{0[1]} to {1[0]} port {1[1]}".format(*elements.plain(one))
                for one in (*mine["inet"]["forward4"], *mine["inet"]["forward6"])
            ],
            "allow_private": bool(mine["inet"]["may_private"]),
            "allow_smtp": bool(mine["inet"]["may_smtp"]),
            "in_bytes": received,
            "out_bytes": sent,
        }

    def traffic(self, environment_id: UUID) -> tuple[int, int]:
        """Bytes of IP packets that passed into and out of the environment since it was started."""
        return self.traffic_of_all().get(self.node.link_name(environment_id), (0, 0))

    def traffic_of_all(self) -> dict[str, tuple[int, int]]:
        """The same of all environments of the node, by the name of their link; one question for all."""
        found: dict[str, list[int]] = {}
        for position, name in enumerate(("received", "sent")):
            listed = nft.query(
                {"list": {"set": {"family": "inet", "table": self.node.table_name, "name": name}}}
            )
            for one in listed:
                for element in one.get("set", {}).get("elem", []):
                    counter = element["elem"].get("counter", {})
                    found.setdefault(element["elem"]["val"], [0, 0])[position] = int(counter.get("bytes", 0))
        return {link: (both[0], both[1]) for link, both in found.items()}

    def inventory(self) -> Iterable[Found]:
        listed = _look(self.node).elements
        owners: dict[str, UUID | None] = {}
        for family, sets in listed.items():
            for name in elements.SETS[family]:
                for element in sets.get(name, []):
                    if name.startswith("forward"):
                        continue
                    value = elements.plain(element)
                    while isinstance(value, tuple):
                        value = value[0]
                    owners.setdefault(value, None)
                    if isinstance(element, dict) and "comment" in element.get("elem", {}):
                        with suppress(ValueError):
                            owners[value] = UUID(element["elem"]["comment"])
        for link, owner in owners.items():
            yield Found(self.name, owner, f"elements of {link}")

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        picture = glance.once("firewall", lambda: _anew(self.node))
        edition = glance.once("edition", lambda: ruleset.edition_of(_fixed(self.node)))
        if not picture.rules or edition not in picture.chains:
            return drift.rules_gone()
        known = self._understood.get(spec.id)
        if known is None or known[0] is not spec:
            wanted = elements.of_environment(spec, self.node.link_name(spec.id))
            known = self._understood[spec.id] = spec, wanted
        wanted = known[1]
        if not elements.is_empty(elements.missing(wanted, picture.values)):
            return drift.firewall_part_gone()
        return None
