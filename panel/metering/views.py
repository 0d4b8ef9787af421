"""Small curves of what environments used, for the list of them."""

from contextlib import suppress
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from panel.environments.models import Environment
from panel.metering.history import sparks as curves
from panel.ui.web import PageRequest, signed_in

#: Of one page of the list.
_MOST_SPARKS = 50


@require_safe
@signed_in
def sparks(request: PageRequest) -> HttpResponse:
    """`{"<id>": [vCPUs, …]}` of those named by `id` that one may see; asked for once the list is there."""
    wanted = list[UUID]()
    for value in request.GET.getlist("id")[:_MOST_SPARKS]:
        with suppress(ValueError):
            wanted.append(UUID(value))
    seen = Environment.objects.for_actor(request.actor).filter(pk__in=wanted).values_list("pk", flat=True)
    return JsonResponse(curves(seen))
