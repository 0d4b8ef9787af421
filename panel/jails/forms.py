"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.accounts.ssh_key_field import ssh_key_field
from panel.environments.option_fields import JAIL_BASES
from panel.jails.conf import MOST_LETTERS
from panel.tenants.models import Tenant
from panel.text import lines_of
from panel.ui.choices import offer

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class BaseForm(forms.Form):
    """`tenants`: those whose jails its reader may change; `images`: those that thin jails are of."""

    tenant = forms.ChoiceField(label=_("Jails of"))
    image = forms.ChoiceField(label=_("Image"))
    command = forms.CharField(
        label=_("Has to end well in each"),
        required=False,
        max_length=1000,
        help_text=_("A command, as curl -fs http://localhost/. Else each has to run."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    command.is_mono = True  # type: ignore[attr-defined]

    def __init__(self, *args: Any, tenants: Sequence[Tenant], images: Sequence[str], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "tenant", [(str(one.pk), one.name) for one in tenants])
        offer(self, "image", [(one, one) for one in images])


class ConfForm(forms.Form):
    """`tenants`: those that its reader may make jails for; `images`: names to choose from."""

    tenant = forms.ChoiceField(label=_("For"))
    image = forms.ChoiceField(label=_("Image"), required=False, help_text=_("Of each; empty ones have none."))
    base = forms.ChoiceField(label=_("Base"), choices=JAIL_BASES)
    conf = forms.CharField(
        label="jail.conf",
        max_length=MOST_LETTERS,
        strip=False,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 14, "wrap": "off"}),
    )
    rctl = forms.CharField(
        label="rctl.conf",
        required=False,
        max_length=MOST_LETTERS,
        help_text=_("jail:web:memoryuse:deny=512m"),
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 3, "wrap": "off"}),
    )
    rctl.is_mono = True  # type: ignore[attr-defined]
    conf.is_mono = True  # type: ignore[attr-defined]
    ssh_keys = ssh_key_field(
        _("SSH public keys"),
        _("One per line. Without one, each gets a root password, shown to you once."),
        rows=2,
    )
    leaves_out = forms.BooleanField(label=_("Leave out what can't be honoured"), required=False)

    def __init__(self, *args: Any, tenants: Sequence[Tenant], images: Sequence[str], **more: Any) -> None:
        super().__init__(*args, **more)
        offer(self, "tenant", [(str(one.pk), one.name) for one in tenants])
        offer(self, "image", [("", "–"), *((one, one) for one in images)])

    def asked(self) -> dict[str, Any]:
        """Of a valid form, but for the tenant."""
        values = {key: value for key, value in self.cleaned_data.items() if key != "tenant"}
        return {**values, "ssh_keys": lines_of(values["ssh_keys"])}
