"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.tenants.models import Tenant
from panel.ui.choices import offer


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
    signed_by = forms.ChoiceField(
        label=_("Run only what is signed"),
        required=False,
        choices=[("", _("signatures aren't asked for")), ("gpg", "GPG"), ("sigstore", "sigstore")],
    )
    signature_key = forms.CharField(
        label=_("Public key"),
        required=False,
        max_length=65_536,
        help_text=_("What gpg --armor --export KEY prints, or cosign.pub."),
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off"}),
    )
    lookaside = forms.CharField(
        label=_("Where its signatures lie"),
        required=False,
        max_length=400,
        help_text=_("Of GPG alone: https://sigs.example.com. Those of sigstore lie in the registry."),
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}),
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
        offer(self, "tenant", [*[(str(one.pk), one.name) for one in tenants], *everybody])
        if not is_administrator:
            self.fields["tenant"].required = True
            for name in ("insecure", "inward"):
                del self.fields[name]
