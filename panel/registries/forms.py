"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.tenants.models import Tenant


class RegistryForm(forms.Form):
    """`tenants`: those that its reader may name one for; `is_administrator`: for all of them too, and more."""

    host = forms.CharField(
        label=_("Registry"),
        max_length=270,
        help_text=_("Its name, with a port if it has one: registry.example.com:5000."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}),
    )
    tenant = forms.ChoiceField(label=_("For"), required=False)
    username = forms.CharField(
        label=_("User name"),
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}),
    )
    password = forms.CharField(
        label=_("Password or token"),
        required=False,
        strip=False,
        max_length=8192,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    insecure = forms.BooleanField(
        label=_("Without TLS"),
        required=False,
        help_text=_("Or with a certificate that nobody vouches for."),
    )
    inward = forms.BooleanField(
        label=_("At a private address"),
        required=False,
        help_text=_("One that nobody from outside reaches: of the provider's own."),
    )

    def __init__(self, *args: Any, tenants: Sequence[Tenant], is_administrator: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        everybody = [("", _("all tenants"))] if is_administrator else []
        field = self.fields["tenant"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [*[(str(one.pk), one.name) for one in tenants], *everybody]
        if not is_administrator:
            field.required = True
            for name in ("insecure", "inward"):
                del self.fields[name]
