"""Forms of plans: what a plan gives, in the units that people say."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel import codes
from panel.images.models import Image
from panel.images.selectors import ready_names
from panel.nodes.selectors import abilities
from panel.plans.models import PlanVersion
from panel.plans.terms import Opening
from panel.ui.number_field import NumberField
from runtime.contract import Device, Kernel, Kind

_MIB, _MEGA = 2**20, 10**6
#: Field of the form to field of the terms, and what one unit of the form is.
_LIMITS = {
    "cpu": ("cpu", 1),
    "cpu_weight": ("cpu_weight", 1),
    "memory_mb": ("memory_mb", 1),
    "swap_mb": ("swap_mb", 1),
    "disk_mb": ("disk_mb", 1),
    "processes": ("processes", 1),
    "disk_read_mib_s": ("disk_read_bytes_s", _MIB),
    "disk_write_mib_s": ("disk_write_bytes_s", _MIB),
    "disk_read_iops": ("disk_read_iops", 1),
    "disk_write_iops": ("disk_write_iops", 1),
    "network_in_mbit_s": ("network_in_bit_s", _MEGA),
    "network_out_mbit_s": ("network_out_bit_s", _MEGA),
}
_ALLOWANCES = {
    "addresses": ("addresses", 1),
    "forwards": ("forwards", 1),
    "snapshots": ("snapshots", 1),
    "backups": ("backups", 1),
    "trash_days": ("trash_days", 1),
    "traffic_gb": ("traffic_gb", 1),
    "traffic_slow_mbit_s": ("traffic_slow_bit_s", _MEGA),
}
_NO_LIMIT = _("no limit")
_WHOLE = frozenset({"cpu", "traffic_gb"})


def _number(
    label: Any,
    *,
    least: float = 0,
    step: str = "1",
    required: bool = False,
    help_text: Any = "",
    unlimited: Any = _NO_LIMIT,
) -> NumberField:
    attributes = {"min": least, "step": step, "placeholder": "" if required else unlimited}
    widget = forms.NumberInput(attrs=attributes)
    return NumberField(label=label, required=required, widget=widget, help_text=help_text)


class PlanForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=120)
    description = forms.CharField(label=_("Description"), required=False, max_length=400)
    cpu = _number(_("vCPU"), least=0.05, step="0.05", required=True)
    cpu_weight = _number(_("vCPU weight (100 is the norm)"), least=1)
    memory_mb = _number(_("Memory, MiB"), least=16, required=True)
    swap_mb = _number(_("Swap, MiB"))
    disk_mb = _number(_("Disk, MiB"), least=16, required=True)
    processes = _number(_("Processes"), least=16)
    disk_read_mib_s = _number(_("Disk read, MiB/s"), step="any")
    disk_write_mib_s = _number(
        _("Disk write, MiB/s"),
        step="any",
        help_text=_(
            "On a node with cgroup v1 it holds direct and synced writes, not those the kernel does later."
        ),
    )
    disk_read_iops = _number(_("Disk reads/s"))
    disk_write_iops = _number(_("Disk writes/s"))
    network_in_mbit_s = _number(_("Network in, Mbit/s"), step="any")
    network_out_mbit_s = _number(_("Network out, Mbit/s"), step="any")
    traffic_gb = _number(_("Traffic a month, GB"), step="any")
    traffic_action = forms.ChoiceField(
        label=_("When it is used up"),
        choices=[("slow", _("slow down")), ("suspend", _("suspend"))],
    )
    traffic_slow_mbit_s = _number(_("Slowed down to, Mbit/s"), step="any")
    addresses = _number(_("IPv4 addresses"))
    forwards = _number(_("Port forwards"))
    snapshots = _number(_("Snapshots"))
    backups = _number(_("Backups"))
    trash_days = _number(_("Days in the trash"), unlimited=_("as the tenant has it"))
    kinds = forms.MultipleChoiceField(
        label=_("Kinds"), required=False,
        widget=forms.SelectMultiple(attrs={"size": 4}), help_text=_("None chosen: all."),
    )  # fmt: skip
    kernels = forms.MultipleChoiceField(
        label=_("Kernels"), required=False,
        widget=forms.SelectMultiple(attrs={"size": 4}), help_text=_("None chosen: all."),
    )  # fmt: skip
    images = forms.MultipleChoiceField(
        label=_("Images"), required=False,
        widget=forms.SelectMultiple(attrs={"size": 4}), help_text=_("None chosen: all."),
    )  # fmt: skip

    devices = forms.MultipleChoiceField(
        label=_("Devices"), required=False,
        widget=forms.SelectMultiple(attrs={"size": 4}), help_text=_("None chosen: no device."),
    )  # fmt: skip

    opens = forms.MultipleChoiceField(
        label=_("May be switched on by the tenant"), required=False, choices=Opening.choices,
        widget=forms.SelectMultiple(attrs={"size": 5}), help_text=_("None chosen: by an administrator alone."),
    )  # fmt: skip

    host_devices = forms.MultipleChoiceField(
        label=_("Devices of hosts"), required=False,
        widget=forms.SelectMultiple(attrs={"size": 4}), help_text=_("None chosen: no device."),
    )  # fmt: skip

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        there = abilities()
        titles = {image.name: str(image) for image in Image.objects.all()}
        for name, values in (
            ("kinds", [one.value for one in Kind if one in there["kinds"]]),
            ("kernels", [one.value for one in Kernel if one in there["kernels"]]),
            ("devices", [one.value for one in Device if one in there["devices"]]),
            ("host_devices", sorted(there["host_devices"])),
            ("images", sorted(ready_names())),
        ):
            field = self.fields[name]
            assert isinstance(field, forms.MultipleChoiceField)
            kept = [one for one in self.initial.get(name) or () if one not in values]
            field.choices = [(one, titles.get(one) or codes.value(one)) for one in (*values, *kept)]

    def terms(self) -> dict[str, dict[str, Any]]:
        """As `plans.services` takes them; an empty field is no limit, or the contract's own value."""
        values = self.cleaned_data
        limits = {name: _scaled(values.get(field), unit) for field, (name, unit) in _LIMITS.items()}
        defaults = {"cpu_weight": 100, "swap_mb": 0, "processes": 512}
        for name, default in defaults.items():
            limits[name] = default if limits[name] is None else limits[name]
        allowances = {
            name: _scaled(values.get(field), unit, keep=field in _WHOLE)
            for field, (name, unit) in _ALLOWANCES.items()
        }
        if allowances["traffic_slow_bit_s"] is None:
            del allowances["traffic_slow_bit_s"]
        limits["cpu"] = values["cpu"]
        return {
            "limits": limits,
            "allowances": {**allowances, "traffic_action": values["traffic_action"]},
            "choices": {
                **{name: values[name] or None for name in ("kinds", "kernels", "images")},
                "devices": values["devices"],
                "opens": values["opens"],
                "host_devices": values["host_devices"],
            },
        }


def _scaled(value: float | None, unit: int, *, keep: bool = False) -> float | int | None:
    if value is None:
        return None
    return value * unit if keep else round(value * unit)


def initial_of(version: PlanVersion) -> dict[str, Any]:
    """A version's terms in the form's units."""
    allowances = version.parsed_allowances.model_dump(mode="json")
    choices = version.parsed_choices.model_dump(mode="json")
    found: dict[str, Any] = {**choices, "traffic_action": allowances["traffic_action"]}
    for terms, fields in ((version.limits, _LIMITS), (allowances, _ALLOWANCES)):
        for field, (name, unit) in fields.items():
            value = terms.get(name)
            found[field] = value if value is None or unit == 1 else value / unit
    return found
