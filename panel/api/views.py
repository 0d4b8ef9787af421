"""The page of the API: what can be called, with what, and a try of it with one's own rights."""

from django.conf import settings
from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from panel.api.reference import calls
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def reference(request: PageRequest, group: str = "") -> HttpResponse:
    """The calls of one group; the first when none is named. 404 for a group that there isn't."""
    groups = calls()
    chosen = group or next(iter(groups))
    if chosen not in groups:
        raise Http404
    url = settings.WADAH.url.rstrip("/")
    context = {
        "section": "api",
        "groups": [(name, len(found)) for name, found in groups.items()],
        "group": chosen,
        "calls": [(call, call.curl(url)) for call in groups[chosen]],
    }
    return page(request, "api/reference.html", context)
