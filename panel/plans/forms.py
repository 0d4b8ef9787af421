"""Forms of plans."""

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.forms import LimitsForm


class PlanForm(LimitsForm):
    name = forms.CharField(label=_("Name"), max_length=120)
    description = forms.CharField(label=_("Description"), required=False, max_length=400)
