"""The environment's part of the node's nftables tables: a guard on its link, and its set elements."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.host import nft
from runtime.network import ruleset
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.resources.resolvers import nameservers_of

_FAMILIES = (("netdev", ruleset.GUARD_SETS), ("inet", ruleset.ELEMENT_SETS))


def prepare(node: Node) -> bool:
    """Loads the fixed part when it isn't there, and lets this network namespace forward. True when it changed.

    Only per-namespace forwarding is switched on; nothing else of the host is changed.
    """
    changed = False
    for file in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        path = Path("/proc/sys/net") / file
        with suppress(FileNotFoundError):
            if path.read_text().strip() != "1":
                path.write_text("1")
                changed = True
    if nft.query({"list": {"chain": {"family": "inet", "table": node.table_name, "name": "from_environment"}}}):
        return changed
    settings = node.settings
    nft.load(
        ruleset.base(
            node.table_name,
            node.link_prefix,
            settings.ipv4_network,
            settings.ipv6_network,
            [str(one) for one in nameservers_of(node)],
        )
    )
    return True


def teardown(node: Node) -> None:
    """Deletes both tables; a no-op when they are gone."""
    for family, _ in _FAMILIES:
        with suppress(nft.NftError):
            nft.change([{"delete": {"table": {"family": family, "name": node.table_name}}}])


class Firewall(Resource):
    """What was given to the kernel is noted beside the environment, so that a change or the removal names
    exactly those elements; the guard chain in the kernel is what counts as "there"."""

    name = "firewall"

    def _note(self, environment_id: UUID) -> Path:
        return self.node.environment(environment_id) / "firewall.json"

    def _known(self, environment_id: UUID) -> dict[str, ruleset.Elements]:
        with suppress(OSError, ValueError):
            document = json.loads(self._note(environment_id).read_text())
            return {family: document.get(family, {}) for family, _ in _FAMILIES}
        return {family: {} for family, _ in _FAMILIES}

    def _wanted(self, spec: EnvironmentSpec) -> dict[str, ruleset.Elements]:
        link = self.node.link_name(spec.id)
        return {
            "netdev": ruleset.guard_elements(spec, link),
            "inet": ruleset.policy_elements(spec, link),
        }

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        wanted, known = self._wanted(spec), self._known(spec.id)
        guarded = self._is_guarded(spec.id)
        if guarded and wanted == known:
            return None
        if not guarded:
            prepare(self.node)
            # elements of an earlier life of this environment may still stand
            self._drop(known)
            known = {family: {} for family, _ in _FAMILIES}
        commands: list[dict[str, Any]] = []
        for family, sets in _FAMILIES:
            for name in sets:
                commands += self._difference(family, name, known[family], wanted[family])
        if not guarded:
            commands = [*self._guard(spec.id), *commands]
        self._note(spec.id).write_text(json.dumps(wanted))
        nft.change(commands)
        return None if guarded else "guard, NAT, forwards"

    def _difference(
        self, family: str, name: str, known: ruleset.Elements, wanted: ruleset.Elements
    ) -> list[dict[str, Any]]:
        before, after = known.get(name, []), wanted.get(name, [])
        gone = [one for one in before if one not in after]
        new = [one for one in after if one not in before]
        table = self.node.table_name
        commands = []
        if gone:
            commands.append(ruleset.element_command("delete", family, table, name, gone))
        if new:
            commands.append(ruleset.element_command("add", family, table, name, new))
        return commands

    def _guard(self, environment_id: UUID) -> list[dict[str, Any]]:
        """The hook on the link: everything that comes in from it goes through the guard."""
        table, name = self.node.table_name, ruleset.chain_name(environment_id)
        chain = {
            "family": "netdev",
            "table": table,
            "name": name,
            "type": "filter",
            "hook": "ingress",
            "dev": self.node.link_name(environment_id),
            "prio": -500,
            "policy": "drop",
        }
        jump = {"jump": {"target": "guard"}}
        rule = {"family": "netdev", "table": table, "chain": name, "expr": [jump]}
        return [{"add": {"chain": chain}}, {"add": {"rule": rule}}]

    def _is_guarded(self, environment_id: UUID) -> bool:
        """A chain of the netdev family goes with its link, so a dead link leaves none."""
        name = ruleset.chain_name(environment_id)
        found = nft.query(
            {"list": {"chain": {"family": "netdev", "table": self.node.table_name, "name": name}}}
        )
        return any(one.get("chain", {}).get("hook") for one in found)

    def _drop(self, known: dict[str, ruleset.Elements]) -> None:
        """Deletes elements, each set on its own: one that is gone must not keep the others."""
        for family, sets in _FAMILIES:
            for name in sets:
                for element in known[family].get(name, []):
                    with suppress(nft.NftError):
                        nft.change(
                            [ruleset.element_command("delete", family, self.node.table_name, name, [element])]
                        )

    def remove(self, environment_id: UUID) -> str | None:
        known = self._known(environment_id)
        commands = [
            ruleset.element_command("delete", family, self.node.table_name, name, known[family][name])
            for family, sets in _FAMILIES
            for name in sets
            if known[family].get(name)
        ]
        try:
            nft.change(commands)
        except nft.NftError:
            self._drop(known)
        if self._has_chain(environment_id):
            self._delete_chain(environment_id)
        self._note(environment_id).unlink(missing_ok=True)
        return None

    def _has_chain(self, environment_id: UUID) -> bool:
        name = ruleset.chain_name(environment_id)
        return bool(
            nft.query({"list": {"chain": {"family": "netdev", "table": self.node.table_name, "name": name}}})
        )

    def _delete_chain(self, environment_id: UUID) -> None:
        table, name = self.node.table_name, ruleset.chain_name(environment_id)
        chain = {"family": "netdev", "table": table, "name": name}
        with suppress(nft.NftError):
            nft.change([{"flush": {"chain": chain}}, {"delete": {"chain": chain}}])

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        if not self._is_guarded(environment_id):
            return None
        known = self._known(environment_id)
        return {
            "guard": ruleset.chain_name(environment_id),
            "forwards": len(known["inet"].get("forward4", [])),
        }

    def inventory(self) -> Iterable[Found]:
        found = nft.query({"list": {"table": {"family": "netdev", "name": self.node.table_name}}})
        for one in found:
            name = one.get("chain", {}).get("name", "")
            if name.startswith("ve_"):
                yield Found(self.name, UUID(hex=name[3:]), f"chain {name}")
