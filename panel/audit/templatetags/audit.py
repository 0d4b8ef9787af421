"""Words of the audit record's page."""

from django import template
from django.utils.translation import gettext_lazy as _

register = template.Library()

#: By the model's name, as the record keeps it.
_TARGETS = {
    "environment": _("environment"),
    "tenant": _("tenant"),
    "user": _("person"),
    "plan": _("plan"),
    "node": _("node"),
    "image": _("image"),
    "role": _("role"),
    "share": _("share"),
    "invitation": _("invitation"),
    "membership": _("membership"),
    "snapshot": _("snapshot"),
    "schedule": _("schedule"),
    "operation": _("operation"),
    "supportaccess": _("support access"),
    "signinpolicy": _("sign-in"),
}


@register.filter
def target_word(name: str) -> str:
    """What kind of thing a record is about; a kind without a word by its own name."""
    return str(_TARGETS.get(name, name))
