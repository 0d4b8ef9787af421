"""For the pages of people."""

from typing import Any

from django import template
from django.forms import BoundField

from panel.rights.labels import Label
from panel.tenants.models import Membership

register = template.Library()


@register.filter
def role_value(member: Membership) -> str:
    """As `members.roles_to_give` names it."""
    return f"custom:{member.custom_role_id}" if member.custom_role_id else member.role


@register.filter
def option_groups(bound: BoundField) -> list[tuple[Label, list[dict[str, Any]]]]:
    """Of a field with many choices in groups: title, and `{"value", "label", "checked"}` of each."""
    chosen = {str(value) for value in bound.value() or []}
    return [
        (title, [{"value": v, "label": label, "checked": str(v) in chosen} for v, label in options])
        for title, options in bound.field.choices  # type: ignore[attr-defined]
    ]
