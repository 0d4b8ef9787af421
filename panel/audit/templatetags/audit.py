"""Words of the audit record's page."""

from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

from panel.codes import value_of
from panel.said import read, shown

register = template.Library()

#: By the model's name, as the record keeps it.
TARGETS = {
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
    "token": _("token"),
    "backup": _("backup"),
    "registry": _("registry"),
    "sshkey": _("SSH key"),
    "target": _("backup target"),
    "volume": _("volume"),
    "domain": _("domain"),
    "stack": _("stack"),
    "stage": _("stage"),
    "baseupdate": _("update of bases"),
    "buildsource": _("build of an image"),
    "repository": _("repository"),
}


@register.filter
def target_word(name: str) -> str:
    """What kind of thing a record is about; a kind without a word by its own name."""
    return str(TARGETS.get(name, name))


@register.filter
def told(value: Any, code: str) -> str:
    """What a record keeps of a field: a sentence of a node's, or a value; nothing where there was nothing."""
    if value == "":
        return ""
    is_said = isinstance(value, dict) and "code" in value and "text" in value
    return shown(read(value)) if is_said else value_of(code, value)
