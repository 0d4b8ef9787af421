"""What a stack comes to: its environments one by one, what each is made from, and what of that is new.

Decides and does nothing: rows are read, none is written.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.crypto import salted_hmac

from panel.stacks.compose import Project, Service
from panel.stacks.compose.project import label
from panel.stacks.models import Member, Stack

#: Parts of a service that its environments are made from, as people call them.
_SALT = "panel.stacks.digest"


@dataclass(frozen=True)
class Copy:
    """One environment that there is to be."""

    service: Service
    number: int
    name: str
    digests: Mapping[str, str]

    @property
    def key(self) -> tuple[str, int]:
        return self.service.name, self.number


@dataclass(frozen=True)
class Change:
    """What becomes of one environment."""

    does: str
    """`create`, `remake`, `remove`, `keep`."""
    service: str
    number: int
    name: str
    why: tuple[str, ...] = ()
    """Of one that is made anew: what of it is other than before."""


def copies_of(stack: Stack, project: Project) -> list[Copy]:
    """In the order that they are started in."""
    return [
        Copy(service, number, name_of(stack.name, service.name, number), digests_of(stack, service))
        for service in project.services
        for number in range(1, service.replicas + 1)
    ]


def name_of(stack: str, service: str, number: int) -> str:
    return f"{stack}-{label(service)}-{number}"


def digests_of(stack: Stack, service: Service) -> dict[str, str]:
    """By part; keyed, since some parts are secret."""
    document = dict(service.document())
    app = document.pop("app")
    document["limits"] = {**stack.limits, **document["limits"], "plan": stack.plan}
    parts = {**document, **{f"app.{key}": value for key, value in app.items()}}
    return {key: _digest(value) for key, value in sorted(parts.items()) if value not in ({}, [], None, False)}


def _digest(value: Any) -> str:
    return salted_hmac(_SALT, json.dumps(value, sort_keys=True)).hexdigest()[:24]


def changes(copies: Sequence[Copy], members: Sequence[Member]) -> list[Change]:
    """In the order of the file; what goes comes last."""
    there = {(one.service, one.number): one for one in members}
    found = []
    for copy in copies:
        member = there.pop(copy.key, None)
        why = () if member is None else differing(copy.digests, member.digests)
        does = "create" if member is None else "remake" if why else "keep"
        found.append(Change(does, copy.service.name, copy.number, copy.name, why))
    gone = [Change("remove", one.service, one.number, one.environment.name) for one in there.values()]
    return [*found, *gone]


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    names = sorted({*one, *other})
    return tuple(name.removeprefix("app.") for name in names if one.get(name) != other.get(name))
