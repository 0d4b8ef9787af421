"""Reads of the audit record: filtered lists, and exports that stream."""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.audit import answers
from panel.audit.models import AuditRecord, AuditRecords
from panel.errors import Invalid
from panel.folding import finds
from panel.rights.actor import Actor
from panel.tenants.models import Tenant

COLUMNS = (
    "id at action who from tenant target_type target_id target_name before after operation token support "
    "denied sequence previous digest"
).split()
_AT_ONCE = 500


def records(actor: Actor, filters: Mapping[str, str], tenant: Tenant | None = None) -> AuditRecords:
    """Those that the actor may read, newest first.

    Filters: `q` (text in action, person, thing, address), `action` (or its beginning with a dot, as
    `environment.`), `who`, `target`, `since` and `until` (dates, both included), `denied`, and `support`
    (`1`): what was done in a support access, and its beginning and end.
    """
    rows = AuditRecord.objects.for_actor(actor)
    if tenant is not None:
        rows = rows.filter(chain=tenant.pk)
    wanted = {key: value.strip()[:80] for key, value in filters.items() if value and value.strip()}
    if text := wanted.get("q"):
        rows = rows.filter(finds(text, "action", "who", "target_name") | Q(from_where__contains=text))
    if action := wanted.get("action"):
        rows = rows.filter(action__startswith=action) if action.endswith(".") else rows.filter(action=action)
    if who := wanted.get("who"):
        rows = rows.filter(who=who)
    if target := wanted.get("target"):
        rows = rows.filter(target_id=target)
    if since := wanted.get("since"):
        rows = rows.filter(at__gte=_moment(since, "since", time.min))
    if until := wanted.get("until"):
        rows = rows.filter(at__lte=_moment(until, "until", time.max))
    if _is_on(wanted, "denied"):
        rows = rows.filter(is_denied=True)
    if _is_on(wanted, "support"):
        rows = rows.filter(Q(support_id__isnull=False) | Q(action__startswith="support."))
    return rows


def _is_on(filters: Mapping[str, str], name: str) -> bool:
    """`Invalid` for what is neither on nor off: a filter that was meant and not heard would mislead."""
    value = filters.get(name, "").lower()
    if value not in {"", "1", "on", "true", "yes", "0", "off", "false", "no"}:
        raise Invalid(_("%(field)s is 1 or 0.") % {"field": name}, field=name)
    return value in {"1", "on", "true", "yes"}


def _moment(text: str, field: str, at: time) -> datetime:
    try:
        moment = datetime.combine(date.fromisoformat(text), at, timezone.get_current_timezone())
        return moment.astimezone(UTC)  # the first and the last days of all have no moment in another zone
    except (ValueError, OverflowError) as error:
        raise Invalid(_("%(field)s is a date, as 2026-01-31.") % {"field": field}, field=field) from error


def show(row: AuditRecord) -> answers.AuditRecord:
    return {
        # not the row's number, which counts what everybody does
        "id": f"{row.chain}:{row.sequence}",
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
        "operation": _text(row.operation_id),
        "token": _text(row.token_id),
        "support": _text(row.support_id),
        "denied": row.is_denied,
        "sequence": row.sequence,
        "previous": row.previous,
        "digest": row.digest,
    }


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None


def as_json_lines(rows: AuditRecords) -> Iterator[str]:
    """One JSON object per line; oldest first, as it was written."""
    for some in _in_pieces(rows):
        yield "".join(f"{json.dumps(show(row))}\n" for row in some)


def as_csv(rows: AuditRecords) -> Iterator[str]:
    """RFC 4180, with a header. A cell that a spreadsheet would run as a formula begins with an apostrophe."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for some in _in_pieces(rows):
        shown: Iterator[Mapping[str, object]] = (show(row) for row in some)
        yield "".join(writer.writerow([_cell(one[name]) for name in COLUMNS]) for one in shown)


def _in_pieces(rows: AuditRecords) -> Iterator[list[AuditRecord]]:
    """All that there is now, a query for each piece: between two of them nothing of the database is held,
    however long who reads them takes."""
    newest = rows.order_by("-at", "-id").first()
    if newest is None:
        return
    rows = rows.filter(at__lte=newest.at).order_by("at", "id")
    some = list(rows[:_AT_ONCE])
    while some:
        yield some
        last = some[-1]
        rest = rows.filter(Q(at__gt=last.at) | Q(id__gt=last.pk), at__gte=last.at)
        some = list(rest[:_AT_ONCE]) if len(some) == _AT_ONCE else []


class _Line:
    """Gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


#: How a formula begins, also as spreadsheets of East Asia write it (fullwidth).
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def _cell(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
