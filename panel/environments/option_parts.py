"""What one field of an option is: where it stands, whom it is asked of, on which page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from panel.rights.permissions import Permission
from runtime.contract import Kind


@dataclass(frozen=True)
class Group:
    """Fields that stand together, in the order of the table: one panel of the settings, and its form."""

    name: str
    """Of its address below `settings/`."""
    title: Promise | str
    done: Promise | str
    note: Promise | str = ""
    is_folded: bool = True
    """On the create page, below *Advanced*."""
    needs: Permission | None = None
    """Beside that of the options: who hasn't got it isn't asked."""
    is_closed: bool = False
    """In the settings, until it is opened; on the create page it has a heading of its own."""
    confirm: Promise | str = ""
    """Asked in the settings before it is sent, of one that runs."""


OPTIONS = Group("options", _("Options"), _("Options saved"))


class When(Enum):
    """On which page an option is asked for."""

    ALWAYS = "on the create page and in the settings"
    NEW = "on the create page alone"
    LATER = "in the settings alone"


@dataclass(frozen=True)
class Asked:
    """One field."""

    make: Callable[[], forms.Field]
    group: Group = OPTIONS
    kinds: frozenset[Kind] = frozenset(Kind)
    when: When = When.ALWAYS
    is_nullable: bool = False
    """Emptied it is null: what holds when nobody says anything."""
    whole: str = ""
    """The part of the document that it is sent with, all of it or none: `app.health`."""


Fields = Mapping[str, Asked]
"""By their place in the document: `boot.order`."""


def number(
    field: type[forms.IntegerField | forms.FloatField], most: int, *, label: Any, help_text: Any = ""
) -> Callable[[], forms.Field]:
    """From 0."""
    return lambda: field(label=label, required=False, min_value=0, max_value=most, help_text=help_text)


def flag(label: Any, help_text: Any = "") -> Callable[[], forms.Field]:
    return lambda: forms.BooleanField(label=label, required=False, help_text=help_text)
