"""The trash: what was deleted rests for its days, as plan or tenant say, and can be brought back meanwhile.

Nothing of it runs. It keeps its disk and its snapshots, which count on; processor, memory, addresses and
forwards go as soon as its node says that it has stopped. What there was of them is noted in the row's `trash`.
"""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from panel.environments import placement
from panel.environments.features import FEATURES
from panel.environments.models import Environment
from panel.errors import Conflict
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from runtime.contract import DesiredState, Report

#: What one in the trash goes on holding, of what its size takes.
_KEPT = frozenset({Resource.ENVIRONMENTS, Resource.DISK_MB})


def takes_in(row: Environment) -> bool:
    """Whether deleting a locked row puts it there. What was never made has nothing to bring back."""
    return row.trash_days > 0 and row.observed_generation > 0


def put_in(row: Environment) -> dict[str, Any]:
    """Of a locked row, with its next change; the caller makes that. One that is there stays as it is."""
    if row.trashed_at is None:
        row.trashed_at = timezone.now()
        row.trash_ends_at = row.trashed_at + timedelta(days=row.trash_days)
        row.trash = {"desired_state": str(row.desired_state), "generation": row.generation + 1}
        row.desired_state = DesiredState.STOPPED
    return {"until": row.trash_ends_at.isoformat() if row.trash_ends_at else None}


def take_out(row: Environment) -> dict[str, Any]:
    """Of a locked row, with its next change: all that it had, as far as it is still there. Raises
    `QuotaExceeded` and `NoRoom` where what was let go meanwhile isn't free any more."""
    if row.trashed_at is None:
        raise Conflict(_("It isn't in the trash."), code="not_trashed")
    found: dict[str, Any] = {}
    if row.trash.get("is_let_go"):
        amounts = let_go_of(row)
        quotas.reserve(row.tenant, amounts)
        placement.take(row.node, amounts[Resource.CPU], amounts[Resource.MEMORY_MB], 0, placed=0)
        for feature in FEATURES:
            found |= feature.brought_back(row)
    row.desired_state = DesiredState(row.trash["desired_state"])
    row.trashed_at = row.trash_ends_at = None
    row.trash = {}
    return found


def held_amounts(row: Environment) -> dict[str, int]:
    """What a row's size takes of the quota now."""
    amounts = quotas.amounts_of(row.contract_limits())
    return {key: n for key, n in amounts.items() if key in _KEPT} if row.trash.get("is_let_go") else amounts


def let_go_of(row: Environment) -> dict[str, int]:
    """What of its size one in the trash doesn't take."""
    amounts = quotas.amounts_of(row.contract_limits())
    return {key: n for key, n in amounts.items() if key not in _KEPT}


def settle(row: Environment, report: Report) -> None:
    """Its node has stopped what was put there: lets go what it doesn't keep. The row is locked."""
    if row.trashed_at is None or row.trash.get("is_let_go") or row.desired_state != DesiredState.STOPPED:
        return
    if not report.final or report.generation < row.trash["generation"]:
        return
    amounts = let_go_of(row)
    of_features: dict[str, int] = {}
    for feature in FEATURES:
        of_features |= {str(resource): n for resource, n in feature.trashed(row).items()}
    quotas.release(row.tenant, {**amounts, **of_features})
    placement.take(row.node, -amounts[Resource.CPU], -amounts[Resource.MEMORY_MB], 0, placed=0)
    row.trash = {**row.trash, "is_let_go": True}
    row.save(update_fields=["trash"])


def refuse_trashed(row: Environment) -> None:
    """Raises `Conflict` for what is in the trash."""
    if row.trashed_at is not None:
        raise Conflict(
            _("%(name)s is in the trash.") % {"name": row.name},
            code="trashed",
            next_step=_("Bring it back first."),
        )
