"""How an app is asked for, on the create page and in its settings."""

from collections.abc import Callable

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.option_parts import Asked, Fields, Group, When, flag
from panel.environments.typed_fields import ListField, PairsField, TypedField, WordsField
from runtime.contract import Kind

RUN = Group("run", _("How it runs"), "", _("What is left empty, the image says."), is_folded=False)


def _of_app(make: Callable[[], forms.Field]) -> Asked:
    return Asked(make, RUN, frozenset({Kind.APP}), when=When.NEW)


APP: Fields = {
    "app.command": _of_app(
        lambda: WordsField(
            label=_("Command"),
            max_length=4000,
            help_text=_("In place of the image's own, as a shell reads words."),
        )
    ),
    "app.args": _of_app(lambda: WordsField(label=_("Arguments"), max_length=4000)),
    "app.user": _of_app(
        lambda: TypedField(
            label=_("User"), max_length=128, help_text=_("A name that the image knows, or a number.")
        )
    ),
    "app.ports": _of_app(
        lambda: ListField(
            label=_("Published ports"),
            max_length=1000,
            help_text=_("80 takes a free port of the node, 20080:80/tcp that one."),
        )
    ),
    "app.volumes": _of_app(
        lambda: ListField(
            label=_("Volumes"),
            max_length=2000,
            help_text=_("data:/srv/data, or conf:/etc/app:ro for one that is only read."),
        )
    ),
    "app.env": _of_app(lambda: PairsField(label=_("Variables"), help_text=_("One per line: NAME=value."))),
    "app.read_only": _of_app(flag(_("Its root can't be written to"))),
    "app.init": _of_app(flag(_("A small init before it"))),
}
