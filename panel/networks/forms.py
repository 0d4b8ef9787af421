"""Forms of an environment's addresses, port forwards and network options."""

from collections.abc import Collection
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.text import lines_of


class AddressForm(forms.Form):
    family = forms.TypedChoiceField(label=_("Family"), choices=[(4, "IPv4"), (6, "IPv6")], coerce=int)
    count = forms.IntegerField(
        label=_("How many"), initial=1, widget=forms.NumberInput(attrs={"min": 1, "max": 16})
    )


class ForwardForm(forms.Form):
    protocol = forms.ChoiceField(label=_("Protocol"), choices=[("tcp", "TCP"), ("udp", "UDP")])
    port = forms.IntegerField(label=_("Port inside"))
    node_port = forms.IntegerField(
        label=_("Port of the node"), required=False, help_text=_("Empty: chosen for you.")
    )
    description = forms.CharField(label=_("Description"), required=False, max_length=120)


class NetworkForm(forms.Form):
    nameservers = forms.CharField(
        label=_("Name servers"),
        required=False,
        help_text=_("One address per line, three at most. Empty: those of the node."),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "9.9.9.9"}),
    )
    allow_private = forms.BooleanField(label=_("May reach private networks beyond the node"), required=False)
    allow_smtp = forms.BooleanField(label=_("May send mail to port 25"), required=False)

    def __init__(self, *args: Any, may_open: Collection[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"allow_private", "allow_smtp"} - set(may_open):
            del self.fields[name]

    def options(self) -> dict[str, Any]:
        return {**self.cleaned_data, "nameservers": lines_of(self.cleaned_data["nameservers"])}
