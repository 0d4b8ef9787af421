"""Page of the audit record."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from panel.audit.export import download
from panel.audit.models import AuditRecord, AuditRecords
from panel.audit.selectors import records
from panel.errors import Invalid
from panel.paging import page_of_rows
from panel.tenants.chosen import chosen_tenant
from panel.ui.web import PageRequest, page, sentence, signed_in

_FILTERS = ("q", "action", "who", "since", "until", "denied", "support")


def _filters(request: PageRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in _FILTERS}


@require_safe
@signed_in
def audit(request: PageRequest) -> HttpResponse:
    filters = _filters(request)
    try:
        rows: AuditRecords = records(request.actor, filters, chosen_tenant(request, request.actor))
    except Invalid as refusal:
        messages.error(request, sentence(refusal))
        rows = AuditRecord.objects.none()
    shown = page_of_rows(rows, 50, request.GET.get("page"))
    context = {
        "section": "audit",
        "rows": shown,
        "records": [{"row": row, "changes": row.changes} for row in shown],
        "filters": filters,
        "is_filtered": any(filters.values()),
    }
    return page(request, "audit/list.html", context)


@require_safe
@signed_in
def export(request: PageRequest) -> HttpResponseBase:
    """What the page would list, as a file."""
    tenant = chosen_tenant(request, request.actor)
    rows = records(request.actor, _filters(request), tenant)
    return download(request.actor, rows, request.GET.get("format", "csv"), tenant)
