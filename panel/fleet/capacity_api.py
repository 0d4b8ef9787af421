"""/api/v1/capacity: what the nodes can still take, for administrators of the installation."""

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import Field

from panel.contract_input import parse_limits
from panel.environments.capacity import MOST_TRIED, capacities, overall, what_if
from panel.environments.capacity_answers import Capacity
from panel.errors import NotFound
from panel.http.answers import Json
from panel.http.inputs import Query as Asked
from panel.plans.selectors import limits_named
from panel.rights.asking import actor
from panel.rights.permissions import Permission

router = Router()


class Ask(Asked):
    """`count` more of a `plan`, or of a size."""

    count: int = Field(default=0, ge=0, le=MOST_TRIED)
    plan: str = ""
    cpu: float | None = None
    memory_mb: int | None = None
    disk_mb: int | None = None


@router.get("", response=Capacity, operation_id="capacity_get")
def get(request: HttpRequest, ask: Query[Ask]) -> Capacity:
    """Per node and for all: physical, ratio, promised, used, left and a verdict. With `count`: what if."""
    who = actor(request)
    if not who.can(Permission.NODE_VIEW):
        raise NotFound(_("The capacity"))
    found = capacities()
    answer: Capacity = {
        "nodes": [one.show() for one in found],
        "overall": {name: share.show() for name, share in overall(found).items()},
    }
    if ask.count:
        size = {"cpu": ask.cpu, "memory_mb": ask.memory_mb, "disk_mb": ask.disk_mb}
        limits = limits_named(who, ask.plan) if ask.plan else parse_limits(_given(size))
        answer["what_if"] = what_if(found, limits, ask.count).show()
    return answer


def _given(size: Json) -> Json:
    return {name: value for name, value in size.items() if value is not None}
