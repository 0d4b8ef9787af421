"""Forms of tenants."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.quotas.models import Resource
from panel.ui.templatetags.wadah import resource_label


class TenantForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)


class QuotaForm(forms.Form):
    """One number per resource; empty: not limited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for value in Resource.values:
            unit = ", MiB" if value.endswith("_mb") else ""
            self.fields[value] = forms.FloatField(
                label=f"{resource_label(value)}{unit}",
                required=False,
                widget=forms.NumberInput(attrs={"min": 0, "step": "any", "placeholder": _("no limit")}),
            )

    def quota(self) -> dict[str, float | None]:
        return {name: self.cleaned_data.get(name) for name in self.fields}


class SuspendForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), required=False, max_length=400)
