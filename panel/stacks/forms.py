"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.stacks.entries import Entry
from panel.tenants.models import Tenant

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
_MOST_LETTERS = 1_000_000


def _text(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={**_PLAIN, "rows": rows, "wrap": "off"})


def _choose_tenant(form: forms.Form, tenants: Sequence[Tenant]) -> None:
    field = form.fields["tenant"]
    assert isinstance(field, forms.ChoiceField)
    field.choices = [(str(one.pk), one.name) for one in tenants]


class ComposeForm(forms.Form):
    compose = forms.CharField(label=_("Compose file"), max_length=_MOST_LETTERS, widget=_text(16), strip=False)
    compose.is_mono = True  # type: ignore[attr-defined]
    env = forms.CharField(
        label=_("Variables"),
        max_length=_MOST_LETTERS,
        required=False,
        strip=False,
        widget=_text(4),
        help_text=_("A line each, as in a file .env. They are kept encrypted, and never shown again."),
    )
    env.is_mono = True  # type: ignore[attr-defined]


class NewStackForm(ComposeForm):
    """`tenants`: those that its reader may make one for."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_("Its environments are called NAME-SERVICE-NUMBER."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    tenant = forms.ChoiceField(label=_("For"))
    field_order = ("name", "tenant", "compose", "env")

    def __init__(self, *args: Any, tenants: Sequence[Tenant], **more: Any) -> None:
        super().__init__(*args, **more)
        _choose_tenant(self, tenants)


class TakeForm(forms.Form):
    """What an entry of the catalogue asks, each a field of its variable's name."""

    name = forms.CharField(label=_("Name"), max_length=40, widget=forms.TextInput(attrs=_PLAIN))
    tenant = forms.ChoiceField(label=_("For"))

    def __init__(self, *args: Any, entry: Entry, tenants: Sequence[Tenant], **more: Any) -> None:
        super().__init__(*args, **{"initial": {"name": entry.slug}, **more})
        _choose_tenant(self, tenants)
        for one in entry.asks:
            self.fields[f"ask_{one.name}"] = forms.CharField(
                label=one.label,
                initial=one.default,
                required=False,
                max_length=1000,
                help_text=_("Empty: one is made, and shown to you once.") if one.generate else "",
                widget=forms.TextInput(attrs=_PLAIN),
            )

    @property
    def asked(self) -> list[forms.BoundField]:
        """The fields of its variables."""
        return [self[name] for name in self.fields if name.startswith("ask_")]

    @property
    def variables(self) -> dict[str, str]:
        """Of a valid form."""
        return {
            name.removeprefix("ask_"): value
            for name, value in self.cleaned_data.items()
            if name.startswith("ask_")
        }
