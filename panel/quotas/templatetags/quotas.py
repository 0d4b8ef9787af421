"""Amounts of a quota's resources on pages."""

from django import template
from django.utils.translation import gettext as _

from panel.quotas.labels import resource_label
from panel.ui.templatetags.wadah import mib_text, number

register = template.Library()
register.filter("resource_label", resource_label)


@register.filter
def resource_text(value: float | None, resource: str) -> str:
    """An amount of a quota's resource with its unit."""
    if value is None:
        return _("no limit")
    return mib_text(value) if resource.endswith("_mb") else number(value)
