"""Fields that programs read rather than people: words, lines, pairs."""

import shlex
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.text import LONGEST_COMMAND, lines_of, shell_words, words_of


class TypedField(forms.CharField):
    """Read by programs rather than people. `reads`: how the create page's script makes JSON of it."""

    is_mono = True
    reads = ""

    def __init__(self, **more: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 4}) if self.reads == "pairs" else forms.TextInput()
        super().__init__(required=False, widget=widget, **more)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        quiet = {"spellcheck": "false", "autocapitalize": "none"}
        return {**super().widget_attrs(widget), **quiet}


class WordsField(TypedField):
    """As a shell reads words."""

    reads = "words"

    def prepare_value(self, value: Any) -> Any:
        return shlex.join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value)
        if len(text) > LONGEST_COMMAND:
            raise forms.ValidationError(_("At most %(n)s characters.") % {"n": LONGEST_COMMAND})
        try:
            return shell_words(text)
        except ValueError as odd:
            raise forms.ValidationError(_("A quotation mark isn't closed.")) from odd


class PairsField(TypedField):
    """Lines of NAME=value."""

    reads = "pairs"

    def clean(self, value: Any) -> dict[str, str]:
        lines = lines_of(super().clean(value))
        if any("=" not in line for line in lines):
            raise forms.ValidationError(_("Each line is NAME=value."))
        return dict(line.split("=", 1) for line in lines)


class ListField(TypedField):
    """Words between spaces or commas."""

    reads = "list"

    def clean(self, value: Any) -> list[str]:
        return words_of(super().clean(value))
