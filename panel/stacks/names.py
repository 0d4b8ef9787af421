"""By which names members of a stack find each other, and telling their nodes when an address is another one.

Names open no way: environments of one tenant reach each other on their node anyway, and nobody else does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from panel.environments.models import Environment
from panel.environments.services.intent import advance
from panel.networks.feature import addresses_of
from panel.operations.models import OperationKind
from panel.stacks.compose import Project
from panel.stacks.models import Member, Stack
from runtime.contract import DesiredState, HostName, ObservedState

Names = dict[str, list[str]]
"""Addresses by name."""


def names_of(project: Project, members: Iterable[Member]) -> dict[str, Names]:
    """By service, what its environments find: each service of the stack by its name and its aliases, each copy
    by its own, and its links."""
    living = [one for one in members if one.environment.desired_state != DesiredState.DELETED]
    by_environment = addresses_of(one.environment_id for one in living)
    everybody: Names = {}
    aliases = {service.name: service.aliases for service in project.services}
    for one in living:
        addresses = _first_family(by_environment.get(one.environment_id, []))
        for name in (one.service, *aliases.get(one.service, ()), one.environment.name):
            everybody.setdefault(name, []).extend(addresses)
    found = {}
    for service in project.services:
        own = {alias: everybody.get(other, []) for alias, other in service.links.items()}
        found[service.name] = {name: sorted(set(they)) for name, they in {**everybody, **own}.items() if they}
    return found


def _first_family(addresses: Sequence[str]) -> list[str]:
    """IPv4 where there is any: what listens on that alone isn't found by the other."""
    ipv4 = [one for one in addresses if ":" not in one]
    return ipv4 or list(addresses)


def told(names: Mapping[str, Sequence[str]]) -> tuple[HostName, ...]:
    """For the spec."""
    return tuple(
        HostName.model_validate({"name": name, "addresses": tuple(addresses)})
        for name, addresses in sorted(names.items())
    )


def tell(stack: Stack, project: Project, members: Sequence[Member]) -> int:
    """Has nodes replace names that are others now, live; how many environments were told. Those that are
    stopped hear it when they are started, those that ended by themselves when they run again: one that came to
    its end isn't begun anew for it."""
    wanted = names_of(project, members)
    count = 0
    for member in members:
        names = wanted.get(member.service)
        if names is None or names == member.names:
            continue
        row = (
            Environment.objects.living()
            .select_related("tenant", "node", "plan_version__plan")
            .select_for_update(of=("self",))
            .filter(pk=member.environment_id)
            .first()
        )
        if row is None or row.desired_state == DesiredState.DELETED or row.trashed_at is not None:
            continue
        if row.desired_state == DesiredState.STOPPED:
            keep(member, names)
        elif row.observed_state != ObservedState.STOPPED:
            keep(member, names)
            advance(None, row, OperationKind.NAMES, details={"stack": stack.name})
            count += 1
    return count


def keep(member: Member, names: Mapping[str, Any]) -> None:
    """For the next spec of a locked environment."""
    member.names = dict(names)
    Member.objects.filter(pk=member.pk).update(names=member.names)
