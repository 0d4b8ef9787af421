"""The page of what stands between an environment and the host, and of what its kernel counts."""

from functools import partial
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from panel.environments.models import Environment
from panel.environments.views.one import context_of, get
from panel.errors import Refused
from panel.isolation.services import Seen, look
from panel.serving.later import in_thread, later
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def isolation(request: PageRequest, environment_id: UUID) -> HttpResponseBase:
    """Shown without the kernel's part while the node can't be asked."""
    row = get(request, environment_id)
    asked = look(request.actor, environment_id)

    async def answer() -> HttpResponse:
        return await in_thread(partial(_page, request, row, await asked.result()))

    def without(refusal: Refused) -> HttpResponse:
        return _page(request, row, None, refusal)

    return later(request, answer, on_refused=without, place=asked.place)


def _page(
    request: PageRequest, row: Environment, seen: Seen | None, refusal: Refused | None = None
) -> HttpResponse:
    context = {**context_of(request, row, "isolation"), "seen": seen, "refusal": refusal}
    return page(request, "isolation/isolation.html", context)
