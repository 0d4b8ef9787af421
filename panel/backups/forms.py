"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.backups.models import Target
from panel.nodes.models import Node
from panel.storage.forms import ScheduleForm
from panel.storage.models import Proves
from panel.tenants.models import Tenant

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class BackupForm(forms.Form):
    """`targets`: those that the environment can be backed up to."""

    target = forms.ChoiceField(label=_("To"))
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        required=False,
        help_text=_("Empty: the time."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, targets: Sequence[Target], **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["target"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices_of(targets)


class BackupScheduleForm(ScheduleForm):
    target = forms.ChoiceField(label=_("To"))
    proves = forms.ChoiceField(label=_("Proved by a start"), choices=Proves.choices, required=False)

    def __init__(self, *args: Any, targets: Sequence[Target], **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["target"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices_of(targets)


def choices_of(targets: Sequence[Target]) -> list[tuple[str, str]]:
    return [(str(one.pk), f"{one.name} ({one.tenant})") for one in targets]


class NewFromBackupForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the new environment"), max_length=63, widget=forms.TextInput(attrs=_PLAIN)
    )


class TargetForm(forms.Form):
    """`tenants`: those that its reader may name one for."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("As environments are named; the directory is called by it."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    tenant = forms.ChoiceField(label=_("For"))
    node = forms.ChoiceField(label=_("Node"), help_text=_("Whose directory it is."))
    password = forms.CharField(
        label=_("Password of the repository"),
        required=False,
        strip=False,
        max_length=1024,
        help_text=_(
            "Empty: one is made and shown once. With that of a repository that is there, that is gone on with."
        ),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, tenants: Sequence[Tenant], nodes: Sequence[Node], **more: Any) -> None:
        super().__init__(*args, **more)
        for name, rows in (("tenant", tenants), ("node", nodes)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(str(one.pk), one.name) for one in rows]
