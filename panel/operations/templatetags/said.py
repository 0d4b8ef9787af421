"""What nodes said, on pages: see `panel.operations.node_words`."""

from typing import Any

from django import template

from panel.audit.models import AuditRecord
from panel.operations import node_words

register = template.Library()
register.filter("step_name", node_words.step_name)
register.filter("said", node_words.sentence)


@register.filter
def step_detail(step: dict[str, Any]) -> str:
    """What a step did, or why it failed, of what `Operation.steps` keeps."""
    return node_words.detail(step.get("code", ""), step["detail"])


@register.filter
def cause(row: Any) -> str:
    """Of an operation or an environment."""
    return node_words.cause(row.code, row.message)


@register.inclusion_tag("operations/_cause.html")
def cause_and_next(row: Any) -> dict[str, str]:
    """The cause, what to do next, and the node's own words where it said more."""
    shown = node_words.cause(row.code, row.message)
    return {
        "cause": shown,
        "next_step": node_words.sentence(row.next_step),
        "own_words": node_words.own_words(shown, row.message),
    }


@register.inclusion_tag("environments/_happening.html")
def happening(record: AuditRecord) -> dict[str, str]:
    """What a node repaired, or saw happen, by itself."""
    message = str((record.after or {}).get("message", ""))
    shown = node_words.happening(record.action.partition(".")[2], message)
    return {"text": shown, "own_words": node_words.own_words(shown, message), "who": record.who}
