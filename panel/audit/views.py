"""Page of the audit record."""

from django.db.models import Q
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from panel.audit.models import AuditRecord
from panel.paging import page_of_rows
from panel.ui.shell import chosen_tenant
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def audit(request: PageRequest) -> HttpResponse:
    tenant = chosen_tenant(request, request.actor)
    rows = AuditRecord.objects.for_actor(request.actor)
    if tenant is not None:
        rows = rows.filter(chain=tenant.pk)
    text = request.GET.get("q", "").strip()[:80]
    if text:
        rows = rows.filter(
            Q(action__icontains=text)
            | Q(who__icontains=text)
            | Q(target_name__icontains=text)
            | Q(from_where__contains=text)
        )
    shown = page_of_rows(rows, 50, request.GET.get("page"))
    return page(request, "audit/list.html", {"section": "audit", "rows": shown, "text": text})
