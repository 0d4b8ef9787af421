"""What there is for plans to offer: apps that know of it say so when they are ready."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.utils.translation import gettext as _

from panel.errors import Invalid

#: By field of `panel.plans.terms.Choices`, what some node has of it.
Known = Callable[[], Mapping[str, Collection[str]]]
_KNOWN: list[Known] = []


def knows_what_there_is(known: Known) -> None:
    """For an app's `ready()`."""
    _KNOWN.append(known)


def refuse_what_no_node_has(choices: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raises `Invalid` for a choice that no node has: nobody should learn that when he creates something. What
    a plan's version has offered `before` stays: nodes come and go."""
    there = {field: names for known in _KNOWN for field, names in known().items()}
    for field, names in there.items():
        kept = set(before.get(field) or ())
        lacking = [one for one in choices.get(field) or () if one not in names and one not in kept]
        if lacking:
            what = field.removesuffix("s")
            said = _("No node has the %(what)s %(value)s; there is %(known)s.")
            raise Invalid(
                said % {"what": what, "value": lacking[0], "known": ", ".join(sorted(names)) or _("none yet")},
                field=f"choices.{field}",
                code="not_offered",
                next_step=_("Leave it out until a node has it."),
            )
