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
    rows = 0
    """More than one line; 0: one."""

    def __init__(self, **more: Any) -> None:
        widget = forms.Textarea(attrs={"rows": self.rows}) if self.rows else forms.TextInput()
        super().__init__(required=False, widget=widget, **more)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        quiet = {"spellcheck": "false", "autocapitalize": "none"}
        return {**super().widget_attrs(widget), **quiet}


class WordsField(TypedField):
    """As a shell reads words; between quotes there may be several lines."""

    reads = "words"

    def prepare_value(self, value: Any) -> Any:
        return shlex.join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value).replace("\r\n", "\n")
        if len(text) > LONGEST_COMMAND:
            raise forms.ValidationError(_("At most %(n)s characters.") % {"n": LONGEST_COMMAND})
        try:
            return shell_words(text)
        except ValueError as odd:
            raise forms.ValidationError(_("A quotation mark isn't closed.")) from odd


class PairsField(TypedField):
    """Lines of NAME=value. A value that no line can hold isn't shown, and stays as it is."""

    reads = "pairs"
    rows = 4

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{name}={text}" for name, text in value.items() if _is_a_line(name, text))

    @staticmethod
    def unshown(value: dict[str, str] | None) -> dict[str, str]:
        return {name: text for name, text in (value or {}).items() if not _is_a_line(name, text)}

    def clean(self, value: Any) -> dict[str, str]:
        lines = lines_of(super().clean(value))
        if any("=" not in line for line in lines):
            raise forms.ValidationError(_("Each line is NAME=value."))
        return dict(line.split("=", 1) for line in lines)


def _is_a_line(name: str, text: str) -> bool:
    line = f"{name}={text}"
    return lines_of(line) == [line]


class LinesField(TypedField):
    """A text in each line."""

    reads = "lines"
    rows = 3

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        return lines_of(super().clean(value))


class ProbeField(TypedField):
    """A port, and a path where there is one: 8080/ready."""

    def prepare_value(self, value: Any) -> Any:
        return f"{value['port']}{value['path']}" if isinstance(value, dict) else value


class ListField(TypedField):
    """Words between spaces or commas."""

    reads = "list"

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        return words_of(super().clean(value))


class ScriptField(WordsField):
    """Of words that may be a script of several lines."""

    rows = 2
