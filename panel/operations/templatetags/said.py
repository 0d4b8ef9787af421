"""What nodes said, on pages: see `panel.said`."""

from typing import Any

from django import template
from django.utils import timezone

from panel.audit.models import AuditRecord
from panel.operations.models import Operation
from panel.said import read, shown, step_name
from panel.ui.templatetags.wadah import took
from runtime.contract.said import Said

register = template.Library()
register.filter("step_name", step_name)


@register.filter
def said(value: Any) -> Any:
    """Of a column, or of what a JSON column keeps; anything else stays what it is."""
    is_kept = isinstance(value, dict) and "code" in value and "text" in value
    return shown(read(value)) if is_kept or isinstance(value, str) else value


@register.filter
def cause(row: Any) -> str:
    """Of an operation or an environment."""
    return shown(row.message)


@register.inclusion_tag("operations/_cause.html")
def cause_and_next(row: Any) -> dict[str, Any]:
    """The cause, and what to do next; words that only a program or an older node has are marked as English."""
    return {
        "cause": shown(row.message),
        "next_step": shown(row.next_step),
        "is_foreign": not (isinstance(row.message, Said) and row.message.code),
    }


@register.inclusion_tag("environments/_node_event.html")
def node_event(record: AuditRecord) -> dict[str, str]:
    """What a node repaired, or saw happen, by itself."""
    return {"text": shown(read((record.after or {}).get("message", ""))), "who": record.who}


@register.filter
def length_of(operation: Operation) -> str:
    """How long an operation took, or has taken so far."""
    end = operation.finished_at or timezone.now()
    ms = max((end - operation.created_at).total_seconds() * 1000, 0)
    return took(ms)
