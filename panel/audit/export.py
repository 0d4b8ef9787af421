"""The record as a download."""

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from panel.audit.models import AuditRecords
from panel.audit.selectors import as_csv, as_json_lines
from panel.errors import Invalid

_FORMATS = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_json_lines, "application/jsonl; charset=utf-8"),
}


def download(rows: AuditRecords, kind: str) -> HttpResponseBase:
    """Streamed, so that its length costs no memory."""
    if kind not in _FORMATS:
        raise Invalid(_("format is csv or jsonl."), field="format")
    lines, content_type = _FORMATS[kind]
    answer = StreamingHttpResponse(lines(rows), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="wadah-audit.{kind}"'
    answer["Cache-Control"] = "no-store"
    return answer
