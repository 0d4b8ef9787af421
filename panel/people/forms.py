"""Forms of people, roles, shares and support."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.people import support
from panel.rights.labels import choices
from panel.rights.permissions import GRANTABLE, OF_ONE_ENVIRONMENT, Permission


class RoleChoice(forms.Form):
    """Roles that the actor can give."""

    role = forms.ChoiceField(label=_("Role"))

    def __init__(self, *args: Any, roles: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles  # type: ignore[attr-defined]


class InviteForm(RoleChoice):
    email = forms.EmailField(label=_("E-mail address"), max_length=254)
    field_order = ["email", "role"]


class Permissions(forms.MultipleChoiceField):
    widget = forms.CheckboxSelectMultiple


class RoleForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=60)
    permissions = Permissions(label=_("Permissions"), choices=lambda: choices(GRANTABLE))
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)


_ALWAYS = {Permission.ENVIRONMENT_VIEW, Permission.OPERATION_VIEW}


class ShareForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address of the person"), max_length=254)
    days = forms.IntegerField(label=_("Days until it ends"), min_value=1, max_value=366, initial=30)
    permissions = Permissions(
        label=_("What the person may do beside looking"),
        required=False,
        choices=lambda: choices(OF_ONE_ENVIRONMENT - _ALWAYS),
    )


class JoinForm(forms.Form):
    """A new account for who was invited."""

    username = forms.CharField(label=_("User name"), max_length=150)
    name = forms.CharField(label=_("Your name"), max_length=120, required=False)
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters; not a common one."),
    )


class SupportForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=400, help_text=_("The tenant reads it, with your name and the time.")
    )
    minutes = forms.IntegerField(
        label=_("Minutes"),
        min_value=support.SHORTEST_MINUTES,
        max_value=support.LONGEST_MINUTES,
        initial=30,
    )
