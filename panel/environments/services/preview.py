"""What a change of an environment would do, asked before it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from panel.environments.answers import EnvironmentPreview
from panel.environments.models import Environment
from panel.environments.options import OPTIONS, Acts
from panel.environments.services.change import lay_over, left_plan, needed
from panel.environments.services.intent import locked
from panel.environments.trash import refuse_trashed
from panel.errors import Forbidden, NotFound, Refused
from panel.quotas.selectors import room_of
from panel.quotas.units import shown_or_none
from panel.rights.actor import Actor
from panel.tenants.selectors import refuse_suspended
from runtime.contract import DesiredState

#: What a plan gives beside limits.
_TERMS = ("allowances", "choices")


@dataclass(frozen=True)
class Preview:
    changes: dict[str, tuple[Any, Any]]
    """What is and what would be, by its place: `limits.memory_mb`, `plan`, `allowances.forwards`."""
    at_start: tuple[str, ...]
    """Places that act at its next start only."""
    is_restarted: bool
    left_plan: str
    """Slug of the plan that it would no longer follow; empty: it leaves none."""
    room: dict[str, float | int | None]
    """What the quota would have left, by resource; null: no limit. As it is now where the change is refused."""
    refusal: Refused | None

    def show(self) -> EnvironmentPreview:
        """As the API has it."""
        why = self.refusal
        return {
            "fits": why is None,
            "code": why.code if why else "",
            "field": why.field if why else "",
            "why": why.message if why else "",
            "next_step": why.next_step if why else "",
            "changes": {place: list(pair) for place, pair in self.changes.items()},
            "at_next_start": list(self.at_start),
            "restarts": self.is_restarted,
            "left_plan": self.left_plan or None,
            "quota_left": self.room,
        }


def preview_change(actor: Actor, environment_id: UUID, changes: Mapping[str, Any]) -> Preview:
    """What `update_environment` would do, by doing it and taking it back: by its rules, and in their words.

    Who may not make the change may not ask. Whatever else speaks against it is the preview's `refusal`.
    """
    with transaction.atomic():
        row = locked(actor, environment_id)
        for permission in needed(changes):
            actor.require(permission, row)
        before, boots, was = _places(row), row.boots, (row.plan_version, row.follows_plan)
        refusal: Refused | None = None
        try:
            refuse_suspended(row.tenant)
            refuse_trashed(row)
            with transaction.atomic():
                lay_over(actor, row, changes)
        except (Forbidden, NotFound):
            raise
        except Refused as refused:
            refusal = refused
        after = before if refusal else _places(row)
        room = {resource: shown_or_none(resource, left) for resource, left in room_of(row.tenant).items()}
        transaction.set_rollback(True)
    changed = {
        place: (before.get(place), after.get(place))
        for place in [*before, *(place for place in after if place not in before)]
        if before.get(place) != after.get(place)
    }
    return Preview(
        changes=changed,
        at_start=() if row.desired_state == DesiredState.STOPPED else _at_start(changed),
        is_restarted=refusal is None and row.boots != boots,
        left_plan="" if refusal else left_plan(*was, row),
        room=room,
        refusal=refusal,
    )


def _places(row: Environment) -> dict[str, Any]:
    """What can be compared, in the order in which it is read."""
    version = row.plan_version
    found: dict[str, Any] = {"plan": version.plan.slug if version else None}
    found["plan_version"] = version.number if version else None
    found["follows_plan"] = row.follows_plan
    for name, value in row.intent.items():
        parts = value if isinstance(value, dict) else {"": value}
        found |= {f"{name}.{key}".rstrip("."): one for key, one in parts.items()}
    if version is not None:
        terms = {name: getattr(version, f"parsed_{name}").model_dump(mode="json") for name in _TERMS}
        found |= {f"{name}.{key}": value for name, part in terms.items() for key, value in part.items()}
    found |= {"name": row.name, "description": row.description}
    return found


def _at_start(changed: Mapping[str, Any]) -> tuple[str, ...]:
    """`/dev/shm` is a share of the memory that it was started with."""
    waiting = [
        place
        for place in changed
        if (option := OPTIONS.get(place.partition(".")[0])) is not None and option.acts is Acts.AT_START
    ]
    return (*waiting, *(["/dev/shm"] if "limits.memory_mb" in changed else ()))  # noqa: S108 - a name
