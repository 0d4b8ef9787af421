"""The record as a download."""

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from panel.audit.models import AuditRecords
from panel.audit.selectors import as_csv, as_json_lines
from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.serving.shares import DOWNLOADS
from panel.tenants.models import Tenant

_FORMATS = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_json_lines, "application/jsonl; charset=utf-8"),
}


def download(actor: Actor, rows: AuditRecords, kind: str, tenant: Tenant | None) -> HttpResponseBase:
    """Streamed, so that its length costs no memory. Raises `Invalid`, and `TooMany` when the actor reads as
    many at once as he may."""
    if kind not in _FORMATS:
        raise Invalid(_("format is csv or jsonl."), field="format")
    lines, content_type = _FORMATS[kind]
    place = DOWNLOADS.take(actor, tenant.pk if tenant else None, tenant.path if tenant else "")
    answer = StreamingHttpResponse(lines(rows), content_type=content_type)
    answer._resource_closers.append(place.give_back)  # type: ignore[attr-defined]  # called when it is closed
    answer["Content-Disposition"] = f'attachment; filename="wadah-audit.{kind}"'
    answer["Cache-Control"] = "no-store"
    return answer
