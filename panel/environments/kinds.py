"""What environments of a kind have not: refused with a sentence wherever it is asked for."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.environments.options import OPTIONS, Acts
from panel.errors import Conflict, Invalid
from panel.operations.models import OperationKind
from runtime.contract import DIRECTORY_IMAGE, Kind, wants_of

#: Options that something without a first process follows: its own, and whatever no node hears of.
OF_A_DIRECTORY: Final = frozenset({"limits", "directory"}) | {
    name for name, option in OPTIONS.items() if option.acts is Acts.IN_PANEL
}
#: Changes that it can't be asked for, and why.
_WITHOUT: Final[Mapping[OperationKind, Promise]] = {
    OperationKind.ADDRESSES: gettext_lazy("A directory has no network, so no addresses."),
    OperationKind.FORWARDS: gettext_lazy("A directory has no network, so no port leads to it."),
    OperationKind.VOLUMES: gettext_lazy("A directory has no volumes: its files are all in its own tree."),
    OperationKind.RESCUE: gettext_lazy("A directory has no rescue system: it starts nothing that could break."),
    OperationKind.LEAVE_RESCUE: gettext_lazy(
        "A directory has no rescue system: it starts nothing that could break."
    ),
    OperationKind.CREDENTIALS: gettext_lazy(
        "A directory has no accounts: people come in with the keys of their own in the panel."
    ),
}


def refuse_change(kind: str, change: OperationKind) -> None:
    """Raises `Conflict` (`not_of_this_kind`) for a change that this kind can't be asked for."""
    if not wants_of(Kind(kind)).boots and change in _WITHOUT:
        raise Conflict(str(_WITHOUT[change]), code="not_of_this_kind")


def refuse_console(kind: str) -> None:
    """Its own; terminals are another matter. Raises `Conflict` (`not_of_this_kind`)."""
    if not wants_of(Kind(kind)).boots:
        raise Conflict(
            _("A directory has no console: nothing runs in it by itself."),
            code="not_of_this_kind",
            next_step=_("Open a terminal, or sign in by SSH."),
        )


def refuse_options(kind: str, given: Mapping[str, Any]) -> None:
    """Options that were asked for and that this kind hasn't got. Raises `Invalid` by name."""
    named = {name for name, value in given.items() if value not in (None, [], {})}
    if kind != Kind.DIRECTORY and "directory" in named:
        raise Invalid(
            _("directory: only an environment of kind directory takes these options."), field="directory"
        )
    if kind == Kind.DIRECTORY and (unknown := sorted(named - OF_A_DIRECTORY)):
        raise Invalid(
            _("A directory has no %(option)s: leave it out.") % {"option": unknown[0]}, field=unknown[0]
        )


def image_of(kind: Kind, image: str) -> str:
    """What is kept as the image of something that has none of its own. Raises `Invalid` for one too many."""
    if image not in ("", DIRECTORY_IMAGE):
        raise Invalid(
            _("A %(kind)s is made from the profile that it has: leave image out.") % {"kind": kind},
            field="image",
        )
    return DIRECTORY_IMAGE
