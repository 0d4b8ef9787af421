"""What networks have of each environment: leases and port forwards."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet, UUIDField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.environments import answers
from panel.environments.features import Feature, Parts, Reserved, Tab
from panel.environments.models import Environment
from panel.environments.search import is_address
from panel.errors import Invalid
from panel.networks import adopting, from_trash, services
from panel.networks.addresses import check_count
from panel.networks.models import Address, PortForward
from panel.networks.published import FIELD, Published, offered, publish, published
from panel.networks.reach import public_address, ways
from panel.plans.rules import check_allowance
from panel.prepared import Given, Prepared
from panel.quotas.models import Resource
from runtime.contract import EnvironmentSpec, Forward, Interface, Kind, wants_of

_ADDRESSES = Prepared(lambda: Address.objects.filter(environment=Given("environment", UUIDField())).held())
_FORWARDS = Prepared(lambda: PortForward.objects.filter(environment=Given("environment", UUIDField())))
_FIELDS = {4: "ipv4", 6: "ipv6"}


class Leases(Reserved):
    """Addresses for a new environment, and the ports that lead to the first of them."""

    def __init__(
        self, environment: Environment, wanted: Mapping[int, int], ports: Sequence[Published] = ()
    ) -> None:
        self._environment, self._wanted, self._ports = environment, wanted, ports
        self._made: list[Address] = []
        self.amounts = {Resource.ADDRESSES: wanted[4], **({Resource.FORWARDS: len(ports)} if ports else {})}

    def take(self) -> None:
        environment = self._environment
        pools = services.pools_of(environment.node) if any(self._wanted.values()) else {}
        for family, number in self._wanted.items():
            if number and family not in pools:
                raise Invalid(
                    _("The node has no IPv%(family)s network; ask for 0.") % {"family": family},
                    field=_FIELDS[family],
                )
            if number:
                self._made += services.lease(environment, environment.tenant, pools[family], number)
        addresses = [one.address for one in self._made]
        self.shown = self.audited = {"addresses": addresses}
        self.parts = {"network": part_of(self._made, ())}

    def save(self) -> None:
        Address.objects.bulk_create(self._made)
        if self._ports:
            forwards = list(publish(self._environment, self._ports))
            self.parts = {"network": part_of(self._made, forwards)}
            told = [str(one) for one in forwards]
            self.audited = {**self.audited, "forwards": told}
            self.shown = {**self.shown, "forwards": [as_shown(one) for one in forwards]}


class Networks(Feature):
    tabs = (Tab("network", gettext_lazy("Network"), 20, needs_boot=True),)

    def check_asked(self, asked: Mapping[str, Any]) -> None:
        for field in _FIELDS.values():
            check_count(asked.get(field), field)
        published(asked.get("ports") or ())

    def reserve(self, environment: Environment, asked: Mapping[str, Any]) -> Reserved:
        """As many as were asked for; else those that its kind wants, of the families that the node has, as far
        as the plan allows."""
        wants, wanted = wants_of(Kind(environment.kind)), {}
        for family, field in _FIELDS.items():
            count = asked.get(field)
            if count is None:
                count = getattr(wants, field) if services.has_family(environment.node, family) else 0
            wanted[family] = count
        version = environment.plan_version
        if version is not None and asked.get("ipv4") is None:
            most = version.parsed_allowances.addresses
            wanted[4] = wanted[4] if most is None else min(wanted[4], most)
        check_allowance(version, "addresses", wanted[4], field="ipv4")
        ports = published(asked.get("ports") or ())
        if ports:
            check_allowance(version, "forwards", len(ports), field=FIELD)
        return Leases(environment, wanted, ports)

    def parts(self, environment: Environment) -> Parts:
        addresses = _ADDRESSES.all(environment=environment.pk)
        return {"network": part_of(addresses, _FORWARDS.all(environment=environment.pk))}

    def counted(self, environment: Environment) -> Mapping[str, int]:
        return {
            "addresses": environment.addresses.filter(released_at=None, family=4).count(),
            "forwards": environment.forwards.count(),
        }

    def trashed(self, environment: Environment) -> Mapping[Resource, int]:
        held = list(environment.addresses.held())
        forwards = list(environment.forwards.all())
        environment.trash["network"] = {
            "addresses": [str(one.pk) for one in held],
            "families": {str(family): sum(one.family == family for one in held) for family in _FIELDS},
            "forwards": [
                {name: getattr(one, name) for name in ("protocol", "node_port", "port", "description")}
                for one in forwards
            ],
        }
        return self.gone(environment)

    def brought_back(self, environment: Environment) -> Mapping[str, Any]:
        return from_trash.bring_back(environment, environment.trash.get("network", {}))

    def adopted(self, environment: Environment, spec: EnvironmentSpec) -> None:
        adopting.adopt(environment, spec.network)

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        counts = self.counted(environment)
        services.release_all(environment)
        return {Resource.ADDRESSES: counts["addresses"], Resource.FORWARDS: counts["forwards"]}

    def swept(self) -> None:
        services.sweep()

    def shown(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
        found = addresses_of(ids)
        return {pk: {"addresses": found.get(pk, [])} for pk in ids}

    def overview(self, environment: Environment, query: Mapping[str, str]) -> Mapping[str, Any]:
        forwards = list(environment.forwards.all())
        return {
            "reach": {
                "address": public_address(environment.node),
                "ways": ways(environment, forwards),
                "has_ssh": any(one.protocol == "tcp" and one.port == 22 for one in forwards),
                "offered": offered((environment.app or {}).get("ports", ()), forwards),
            }
        }

    def shown_alone(self, environment: Environment) -> Mapping[str, Any]:
        forwards = list(PortForward.objects.filter(environment=environment))
        return {
            "forwards": [as_shown(one) for one in forwards],
            "reach": [{"text": way.text, "port": way.port} for way in ways(environment, forwards)],
        }

    def prefetched(self) -> "Sequence[Prefetch[Any] | str]":
        return (Prefetch("addresses", Address.objects.held()), "forwards")

    def found_by(self, text: str) -> Q | None:
        """By any part of an address."""
        if not is_address(text):
            return None
        return Q(pk__in=Environment.objects.filter(addresses__address__contains=text).values("pk"))

    def held(self) -> Iterator[tuple[UUID, Resource, int]]:
        counted: tuple[tuple[Resource, QuerySet[Any]], ...] = (
            (Resource.ADDRESSES, Address.objects.filter(released_at=None, family=4)),
            (Resource.FORWARDS, PortForward.objects.all()),
        )
        for resource, rows in counted:
            for tenant_id, count in rows.values_list("tenant_id").annotate(n=Count("pk")).order_by():
                if tenant_id is not None:
                    yield tenant_id, resource, count

    def examine(self, living: Sequence[Environment]) -> Iterator[str]:
        ids = {row.pk for row in living}
        seen: Counter[str] = Counter()
        for lease in Address.objects.filter(released_at=None):
            seen[lease.address] += 1
            if lease.environment_id not in ids:
                yield f"address {lease.address} is leased to an environment that is gone"
        for address, count in seen.items():
            if count > 1:
                yield f"address {address} is leased {count} times"


def part_of(addresses: Sequence[Address], forwards: Sequence[PortForward]) -> dict[str, Any]:
    """Fields of `runtime.contract.Network`."""
    return {
        "interfaces": (
            Interface.model_validate(
                {
                    name: tuple(one.address for one in addresses if one.family == family)
                    for family, name in _FIELDS.items()
                }
            ),
        ),
        "forwards": tuple(
            Forward.model_validate({"protocol": f.protocol, "node_port": f.node_port, "port": f.port})
            for f in forwards
        ),
    }


def as_shown(row: PortForward) -> answers.Forward:
    return {
        "id": str(row.pk),
        "protocol": row.protocol,
        "node_port": row.node_port,
        "port": row.port,
        "description": row.description,
    }


def addresses_of(ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """Addresses by environment, IPv4 first; one query."""
    found: dict[UUID, list[str]] = {}
    rows = Address.objects.filter(environment_id__in=list(ids)).held()
    for environment_id, address in rows.values_list("environment_id", "address"):
        if environment_id is not None:
            found.setdefault(environment_id, []).append(address)
    return found
