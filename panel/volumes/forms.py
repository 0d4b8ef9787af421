"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.nodes.models import Node
from panel.tenants.models import Tenant
from panel.ui.choices import offer
from panel.volumes.models import Volume, VolumeClass

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class VolumeForm(forms.Form):
    """`tenants`: those that its reader may make one for."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("Environments see it as /mnt/NAME, unless you say where."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    size_mb = forms.IntegerField(
        label=_("Size (MiB)"), help_text=_("Counts against the tenant's disk."), initial=10_240
    )
    tenant = forms.ChoiceField(label=_("For"))
    node = forms.ChoiceField(label=_("Node"), help_text=_("Environments of this node can have it."))
    volume_class = forms.ChoiceField(
        label=_("Class"),
        choices=VolumeClass.choices,
        help_text=_("In place: faster to write here and there; a spoilt block isn't noticed."),
    )
    is_shared = forms.BooleanField(
        label=_("Shared: several may write to it at once"),
        required=False,
        help_text=_("Else one has it, or several read it."),
    )

    def __init__(self, *args: Any, tenants: Sequence[Tenant], nodes: Sequence[Node], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "tenant", [(str(one.pk), one.name) for one in tenants])
        offer(self, "node", [(str(one.pk), one.name) for one in nodes])


class SizeForm(forms.Form):
    size_mb = forms.IntegerField(label=_("Size (MiB)"), help_text=_("Larger or smaller, while it is in use."))


class AttachForm(forms.Form):
    """`volumes`: those that the environment could have."""

    volume = forms.ChoiceField(label=_("Volume"))
    path = forms.CharField(
        label=_("Where it is seen"),
        max_length=200,
        required=False,
        help_text=_("A directory inside, made where there is none. Empty: /mnt and the volume's name."),
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "/srv/data"}),
    )
    read_only = forms.BooleanField(label=_("Read-only, for root inside too"), required=False)

    def __init__(self, *args: Any, volumes: Sequence[Volume], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "volume", [(str(one.pk), f"{one.name} ({one.size_mb} MiB)") for one in volumes])


class CloneForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the new volume"), max_length=63, widget=forms.TextInput(attrs=_PLAIN)
    )
    size_mb = forms.IntegerField(
        label=_("Size (MiB)"), required=False, help_text=_("Empty: as large as this volume.")
    )
