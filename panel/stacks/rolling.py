"""Whose turn it is when copies of a service are made anew: one after another, while the others serve.

Decides and does nothing.
"""

from collections.abc import Mapping
from datetime import datetime

from panel.environments.states import Healthiness
from panel.stacks.models import Member
from panel.stacks.ready import has_started, is_healthy
from panel.stacks.wanted import Copy, differing
from runtime.contract import DesiredState

Key = tuple[str, int]


def turns(
    copies: Mapping[Key, Copy], members: Mapping[Key, Member], since: datetime
) -> tuple[list[Member], list[Member]]:
    """Those that go now, and those whose turn comes later. Of a service that there is one copy of, that one;
    of one with several those that don't run and the first, and the next when what was made in its place, after
    `since`, is well. Raises `Failed` where that never will be."""
    now: list[Member] = []
    later: list[Member] = []
    for key, member in sorted(members.items()):
        copy = copies.get(key)
        if copy is None:
            now.append(member)
        elif differing(copy.digests, member.digests):
            is_alone = copy.service.replicas < 2 or member.environment.desired_state != DesiredState.RUNNING
            (now if is_alone or _is_next(copy, copies, members, since) else later).append(member)
    return now, later


def _is_next(copy: Copy, copies: Mapping[Key, Copy], members: Mapping[Key, Member], since: datetime) -> bool:
    """Whether it is the first of its service that is old, and all that were made since then are well."""
    for key, other in copies.items():
        if other.service.name != copy.service.name:
            continue
        member = members.get(key)
        if member is None:
            return False  # the one before is being made
        is_old = bool(differing(other.digests, member.digests))
        if is_old and key < copy.key:
            return False
        if is_old and key != copy.key and member.environment.desired_state == DesiredState.DELETED:
            return False
        if not is_old and member.environment.created_at >= since and not _is_well(other, member):
            return False
    return True


def _is_well(copy: Copy, member: Member) -> bool:
    """It runs, and is healthy where it is asked how it is. Raises `Failed` for one that is unhealthy."""
    row, check = member.environment, copy.service.app.get("health") or {}
    if row.healthiness is Healthiness.STARTING:
        return False
    if row.health is None:
        return has_started(row) and (not check or bool(check.get("disable")))
    return is_healthy(row)
