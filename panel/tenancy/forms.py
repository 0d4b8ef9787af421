"""Forms of tenants."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.quotas.labels import resource_label
from panel.quotas.models import Quota, Resource
from panel.quotas.services import OVERBOOKABLE
from panel.quotas.units import shown_or_none
from panel.tenancy.quota import QuotaChanges
from panel.tenants.models import MOST_TRASH_DAYS, Tenant
from panel.ui.number_field import NumberField


class TrashForm(forms.Form):
    trash_days = forms.IntegerField(
        label=_("Days in the trash"),
        min_value=0,
        max_value=MOST_TRASH_DAYS,
        initial=7,
        help_text=_(
            "So long its environments can be brought back after they were deleted. 0: they go at once."
        ),
    )


class TenantForm(TrashForm):
    name = forms.CharField(label=_("Name"), max_length=120)


class QuotaForm(forms.Form):
    """One number per resource; empty: not limited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for value in Resource.values:
            self.fields[value] = _amount(value)

    def quota(self) -> dict[str, float | None]:
        return {name: self.cleaned_data.get(name) for name in Resource.values}


class QuotaChangeForm(QuotaForm):
    """Limits, soft limits (`soft_cpu`), how often what the kernel holds is handed out (`times_cpu`), rules."""

    grace_days = NumberField(
        label=_("Days that a soft limit may be passed"),
        required=False,
        widget=forms.NumberInput(attrs={"min": 0, "step": "any"}),
    )
    must_use_plans = forms.BooleanField(
        label=_("Environments have the size of a plan, never one of their own"), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for value in Resource.values:
            self.fields[f"soft_{value}"] = _amount(value)
        for value in sorted(OVERBOOKABLE):
            self.fields[f"times_{value}"] = NumberField(
                label=resource_label(value),
                required=False,
                widget=forms.NumberInput(attrs={"min": 1, "max": 10, "step": "any", "placeholder": "1"}),
            )

    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in Resource.values]

    def softs(self) -> list[forms.BoundField]:
        return [self[f"soft_{name}"] for name in Resource.values]

    def times(self) -> list[forms.BoundField]:
        return [self[f"times_{name}"] for name in sorted(OVERBOOKABLE)]

    def changes(self) -> QuotaChanges:
        values = self.cleaned_data
        found: QuotaChanges = {
            "quota": self.quota(),
            "soft": {name: values.get(f"soft_{name}") for name in Resource.values},
            "overbook": {name: values.get(f"times_{name}") or 1.0 for name in OVERBOOKABLE},
            "must_use_plans": bool(values["must_use_plans"]),
        }
        if values.get("grace_days") is not None:
            found["grace_s"] = dict.fromkeys(Resource.values, round(values["grace_days"] * 86_400))
        return found


def initial_quota(tenant: Tenant) -> dict[str, Any]:
    """What `QuotaChangeForm` shows of a tenant; one query."""
    found: dict[str, Any] = {"must_use_plans": tenant.must_use_plans}
    for row in Quota.objects.filter(tenant=tenant):
        found[row.resource] = shown_or_none(row.resource, row.limit)
        found[f"soft_{row.resource}"] = shown_or_none(row.resource, row.soft)
        found["grace_days"] = row.grace_s / 86_400
        if row.overbook_percent > 100:
            found[f"times_{row.resource}"] = row.overbook_percent / 100
    return found


def _amount(resource: str) -> NumberField:
    unit = ", MiB" if resource.endswith("_mb") else ""
    attributes = {"min": 0, "step": "any", "placeholder": _("no limit")}
    return NumberField(
        label=f"{resource_label(resource)}{unit}", required=False, widget=forms.NumberInput(attrs=attributes)
    )


class SuspendForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), required=False, max_length=400)
    how = forms.ChoiceField(
        label=_("Its environments are"),
        choices=[("stop", _("stopped")), ("freeze", _("frozen: in memory, without processor time"))],
    )


class DeletionForm(forms.Form):
    typed_name = forms.CharField(label=_("Type its name"), required=False)
    wait_days = NumberField(
        label=_("Days until then"), min_value=0, max_value=90, initial=7,
        widget=forms.NumberInput(attrs={"min": 0, "max": 90, "step": "any"}),
    )  # fmt: skip
