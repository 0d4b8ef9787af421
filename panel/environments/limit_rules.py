"""Rules of limits as people write them: which can be had, and why others can't."""

from collections.abc import Sequence
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract.limit_rules import (
    LOG,
    MOST_RULES,
    SIGNALS,
    Counted,
    NoRule,
    RuleFault,
    read_rule,
)

_WHY: Final[dict[RuleFault, Promise]] = {
    RuleFault.UNREADABLE: gettext_lazy(
        "%(name)s: a rule is written resource:action=amount, as memory_mb:log=200."
    ),
    RuleFault.RESOURCE: gettext_lazy("%(name)s isn't counted; one can say %(resources)s."),
    RuleFault.ACTION: gettext_lazy("%(name)s isn't an action; one can say %(actions)s."),
    RuleFault.DENIES: gettext_lazy("%(name)s: deny is what the limit %(name)s does."),
    RuleFault.CPU_IS_NOT_DENIED: gettext_lazy("cpu: processor time isn't denied; the limit cpu slows down."),
    RuleFault.THROTTLES: gettext_lazy("cpu: throttle is what the limit cpu does."),
    RuleFault.NO_THROTTLE: gettext_lazy(
        "%(name)s can't be slowed down: only processor, disk and network rates can."
    ),
    RuleFault.NOBODY: gettext_lazy(
        "%(name)s: which process has most of it can't be told, so none is signalled."
    ),
}


def lay_rules(_actor: Actor, _tenant: Tenant, _old: Any, given: Sequence[str]) -> list[str]:
    """Each once, in their order."""
    found = list(dict.fromkeys(given))
    if len(found) > MOST_RULES:
        raise Invalid(_("limit_rules: %(most)s rules at most.") % {"most": MOST_RULES}, field="limit_rules")
    for text in found:
        try:
            read_rule(text)
        except NoRule as refused:
            said = str(_WHY[refused.fault]) % {
                "name": refused.name,
                "resources": ", ".join(Counted),
                "actions": ", ".join((LOG, *SIGNALS)),
            }
            raise Invalid(said, field="limit_rules") from refused
    return found
