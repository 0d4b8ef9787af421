"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.environments.typed_fields import WordsField

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class StageForm(forms.Form):
    """`environments`: apps that its reader may replace."""

    line = forms.CharField(
        label=_("Line"),
        max_length=63,
        help_text=_("What goes through its stages, as shop."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    name = forms.CharField(
        label=_("Stage"),
        max_length=63,
        help_text=_("As test; it becomes the last of its line."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    environments = forms.MultipleChoiceField(label=_("Copies"), help_text=_("Apps that run the same image."))
    command = WordsField(
        label=_("Command"),
        max_length=4000,
        help_text=_(
            "Run in the first copy before something goes on from here; 0 is well. As a shell reads words."
        ),
    )
    needs_health = forms.BooleanField(
        label=_("Nothing goes on from here unless all of it is well"), required=False, initial=True
    )
    needs_yes = forms.BooleanField(
        label=_("Nothing goes on from here unless a person says yes"), required=False
    )

    def __init__(self, *args: Any, environments: Sequence[Environment], **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["environments"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(str(one.pk), f"{one.name} ({one.tenant})") for one in environments]


class StageChangeForm(StageForm):
    """Of one that is there: its line and its name stay."""

    line = None  # type: ignore[assignment]
    name = None  # type: ignore[assignment]
    drain_s = forms.IntegerField(
        label=_("Seconds for requests under way"),
        min_value=0,
        max_value=600,
        help_text=_("Before a copy is replaced."),
    )


class DeployForm(forms.Form):
    image = forms.CharField(max_length=400, widget=forms.TextInput(attrs=_PLAIN))
