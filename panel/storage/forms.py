from django import forms
from django.utils.translation import gettext_lazy as _


class SnapshotForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        required=False,
        help_text=_("Empty: the time."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class CloneForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the new environment"),
        max_length=63,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
