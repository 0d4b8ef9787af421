"""From what a browser sends to typed values. The rules are the services'."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.ui.choices import offer
from runtime.contract.domain import Balance

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def _choose(form: forms.Form, environments: Sequence[Environment]) -> None:
    offer(form, "environment", [(str(one.pk), f"{one.name} ({one.tenant})") for one in environments])


class NameForm(forms.Form):
    """On the page of an environment; `gives_names`: the administrator has a name for all."""

    name = forms.CharField(
        label=_("Domain"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "shop.example.org"}),
    )
    port = forms.IntegerField(label=_("Port inside"), initial=80)

    def __init__(self, *args: Any, gives_names: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        if gives_names:
            self.fields["name"].help_text = _("Empty: one is given, which needs no DNS of yours.")
        else:
            self.fields["name"].required = True


class DomainForm(NameForm):
    """`environments`: those that its reader may put behind a name."""

    environment = forms.ChoiceField(label=_("Environment"))

    def __init__(self, *args: Any, environments: Sequence[Environment], **more: Any) -> None:
        super().__init__(*args, **more)
        _choose(self, environments)


class TargetForm(forms.Form):
    environment = forms.ChoiceField(label=_("Environment"))
    port = forms.IntegerField(label=_("Port inside"), initial=80)

    def __init__(self, *args: Any, environments: Sequence[Environment], **more: Any) -> None:
        super().__init__(*args, **more)
        _choose(self, environments)


class OptionsForm(forms.Form):
    https = forms.BooleanField(label=_("Lead who comes without TLS to the address with it"), required=False)
    redirect_to = forms.CharField(
        label=_("Lead everybody to another address"),
        max_length=400,
        required=False,
        help_text=_("As https://www.example.org/: what was asked for is put behind it. Empty: nobody."),
        widget=forms.URLInput(attrs=_PLAIN),
    )
    balance = forms.ChoiceField(
        label=_("Of several environments"),
        choices=[
            (Balance.ROUND_ROBIN.value, _("one after another")),
            (Balance.STICKY.value, _("the same for each client's address")),
        ],
    )
    health_path = forms.CharField(
        label=_("Ask each of several whether it is well"),
        max_length=200,
        required=False,
        help_text=_("A path such as /healthz, every two seconds. Empty: that it takes a connection is enough."),
        widget=forms.TextInput(attrs=_PLAIN),
    )


class UserForm(forms.Form):
    user = forms.CharField(label=_("User name"), max_length=64, widget=forms.TextInput(attrs=_PLAIN))
    password = forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        max_length=200,
        help_text=_("Empty: takes this user out."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
