"""/api/v1/audit"""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from panel.api.pages import Page, page_of
from panel.api.root import actor
from panel.audit.models import AuditRecord

router = Router()
Json = dict[str, Any]


class Filters(Page):
    action: str = ""
    target: str = ""


def show(row: AuditRecord) -> Json:
    return {
        "id": row.pk,
        "at": row.at.isoformat(),
        "action": row.action,
        "who": row.who,
        "from": row.from_where,
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "target_type": row.target_type,
        "target_id": row.target_id,
        "target_name": row.target_name,
        "before": row.before,
        "after": row.after,
        "operation": str(row.operation_id) if row.operation_id else None,
        "digest": row.digest,
    }


@router.get("", response=Json, operation_id="audit_list")
def list_(request: HttpRequest, filters: Query[Filters]) -> Json:
    rows = AuditRecord.objects.for_actor(actor(request))
    if filters.action:
        rows = rows.filter(action=filters.action)
    if filters.target:
        rows = rows.filter(target_id=filters.target)
    return page_of(rows, filters, show)
