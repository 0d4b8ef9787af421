"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.typed_fields import ListField, PairsField
from panel.stacks.compose.reader import MOST_REPLICAS
from panel.stacks.entries import Entry
from panel.stacks.services import Asked
from panel.tenants.models import Tenant
from panel.ui.choices import offer

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
_MOST_LETTERS = 1_000_000


def _text(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={**_PLAIN, "rows": rows, "wrap": "off"})


def _choose_tenant(form: forms.Form, tenants: Sequence[Tenant]) -> None:
    offer(form, "tenant", [(str(one.pk), one.name) for one in tenants])


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files of text: pairs of name and text."""

    widget = _ManyFiles

    def clean(self, data: Any, initial: Any = None) -> list[tuple[str, str]]:
        several = data if isinstance(data, list | tuple) else [data]
        found = []
        for one in several:
            checked = super().clean(one, initial)
            if not checked:
                continue
            if checked.size > _MOST_LETTERS:
                raise forms.ValidationError(_("%(name)s is too long.") % {"name": checked.name})
            try:
                found.append((checked.name, checked.read().decode()))
            except UnicodeDecodeError as odd:
                raise forms.ValidationError(_("%(name)s is no text.") % {"name": checked.name}) from odd
        return found


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

    profiles = ListField(
        label=_("Profiles"), max_length=1000, help_text=_("Those that are on, between spaces or commas.")
    )
    scale = PairsField(
        label=_("Copies"), help_text=_("One per line: SERVICE=3. Others have as many as the file says.")
    )
    upload = FilesField(
        label=_("Files"),
        required=False,
        help_text=_(
            "Text that the file names (env_file, configs, ./nginx.conf). Those of the same name are replaced."
        ),
    )
    folder = forms.CharField(
        label=_("Folder of these files"),
        max_length=200,
        required=False,
        help_text=_("As the Compose file has it: conf for ./conf/nginx.conf."),
        widget=forms.TextInput(attrs=_PLAIN),
    )

    def clean_scale(self) -> dict[str, int]:
        found = self.cleaned_data["scale"]
        if not all(one.strip().isdecimal() and int(one) <= MOST_REPLICAS for one in found.values()):
            raise forms.ValidationError(_("Copies are 0 to %(n)s.") % {"n": MOST_REPLICAS})
        return {name.strip(): int(one) for name, one in found.items()}

    def asked(self, there: Mapping[str, str]) -> Asked:
        """Of a valid form, over the files that are there. Variables are never shown again: an empty field
        leaves them as they are."""
        values = self.cleaned_data
        folder = values["folder"].strip().removeprefix("./").strip("/")
        come = {f"{folder}/{name}" if folder else name: text for name, text in values["upload"]}
        gone = set(values.get("drop", ()))
        files = {**{name: text for name, text in there.items() if name not in gone}, **come}
        return Asked(
            compose=values["compose"],
            env=values["env"] or None,
            profiles=values["profiles"],
            scale=values["scale"],
            files=files if come or gone else None,
        )


class ChangeForm(ComposeForm):
    """`there`: files that it has."""

    drop = forms.MultipleChoiceField(label=_("Take out"), required=False, widget=forms.CheckboxSelectMultiple())

    def __init__(self, *args: Any, there: Sequence[str], **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["drop"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(one, one) for one in there]


class NewStackForm(ComposeForm):
    """`tenants`: those that its reader may make one for."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        help_text=_("Its environments are called NAME-SERVICE-NUMBER."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    tenant = forms.ChoiceField(label=_("For"))
    field_order = ("name", "tenant", "compose", "env", "profiles", "scale")

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
