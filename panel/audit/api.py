"""/api/v1/audit"""

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from panel.audit import answers
from panel.audit.export import download
from panel.audit.selectors import records, show
from panel.http.answers import ListOf
from panel.http.pages import Page, page_of
from panel.rights.asking import actor
from panel.tenants.models import Tenant
from panel.tenants.selectors import tenant_of

router = Router()


class Filters(Page):
    q: str = ""
    action: str = ""
    who: str = ""
    target: str = ""
    tenant: str = ""
    since: str = ""
    until: str = ""
    denied: str = ""
    support: str = ""


class Export(Filters):
    format: str = "jsonl"


def _tenant(request: HttpRequest, filters: Filters) -> Tenant | None:
    return tenant_of(actor(request), filters.tenant) if filters.tenant else None


@router.get("", response=ListOf[answers.AuditRecord], operation_id="audit_list")
def list_(request: HttpRequest, filters: Query[Filters]) -> ListOf[answers.AuditRecord]:
    """Newest first. `action` may be a beginning with a dot (`environment.`); `denied=1`, `support=1`."""
    rows = records(actor(request), filters.model_dump(exclude={"limit", "offset"}), _tenant(request, filters))
    return page_of(rows, filters, show)


@router.get("/export", operation_id="audit_export", response={200: None})
def export(request: HttpRequest, filters: Query[Export]) -> HttpResponse:
    """Everything that the filters leave, oldest first, as `csv` or `jsonl`, streamed."""
    values = filters.model_dump(exclude={"limit", "offset", "format"})
    who, tenant = actor(request), _tenant(request, filters)
    rows = records(who, values, tenant)
    return download(who, rows, filters.format, tenant)  # type: ignore[return-value]  # ninja passes streams on
