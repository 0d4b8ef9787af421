"""Forms of people and their tokens."""

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from panel.tenants.permissions import ROLES


class TokenForm(forms.Form):
    name = forms.CharField(label=_("What it is for"), max_length=120)
    tenant = forms.ChoiceField(label=_("Tenant"), required=False)
    role = forms.ChoiceField(label=_("Role"), choices=[(name, name) for name in ROLES])
    days = forms.IntegerField(label=_("Days until it ends"), min_value=1, max_value=366, initial=90)
    networks = forms.CharField(
        label=_("Only from these networks"),
        required=False,
        help_text=_("As 192.0.2.0/24, separated by commas."),
    )


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), required=False, max_length=120)
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    time_zone = forms.CharField(label=_("Time zone"), max_length=64, help_text=_("As Asia/Jakarta."))
