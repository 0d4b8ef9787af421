"""Who hears of a plan's new version: whatever has something that follows the plan."""

from collections.abc import Callable

from panel.plans.models import Plan

_FOLLOWING: list[Callable[[Plan], None]] = []


def follows_versions(tell: Callable[[Plan], None]) -> None:
    """For an app's `ready()`: `tell` is called within the transaction that makes the version."""
    _FOLLOWING.append(tell)


def tell_of_version(plan: Plan) -> None:
    for tell in _FOLLOWING:
        tell(plan)
