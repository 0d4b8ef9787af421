"""From what a browser sends to typed values. The rules are the services'."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from panel.stages.models import Stage
from panel.tenants.models import Tenant
from panel.ui.choices import offer

_PLAIN = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


class SourceForm(forms.Form):
    """`tenants`, `stages`: those that its reader may build for."""

    tenant = forms.ChoiceField(label=_("Tenant"))
    name = forms.CharField(
        label=_("Repository"),
        max_length=120,
        help_text=_("Its name in the registry, as web or team/web."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    url = forms.CharField(
        label=_("Git repository"),
        required=False,
        max_length=1400,
        help_text=_("https://…, ssh://… or git@host:path; empty: a Dockerfile alone, or contexts by the API."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    branch = forms.CharField(
        label=_("Branch"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "main"}),
    )
    folder = forms.CharField(
        label=_("Folder"), required=False, max_length=400, widget=forms.TextInput(attrs=_PLAIN)
    )
    dockerfile = forms.CharField(
        label=_("Dockerfile"),
        required=False,
        max_length=400,
        help_text=_("Within the folder; empty: Dockerfile, or Containerfile."),
        widget=forms.TextInput(attrs=_PLAIN),
    )
    submodules = forms.BooleanField(label=_("With submodules"), required=False)
    token = forms.CharField(
        label=_("Token"),
        required=False,
        max_length=4096,
        help_text=_("Of the repository, by https. It is kept encrypted and never shown."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    deploy_key = forms.CharField(
        label=_("Deploy key"),
        required=False,
        max_length=16_384,
        help_text=_("A private key, by ssh. It is kept encrypted and never shown."),
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 2}),
    )
    dockerfile_text = forms.CharField(
        label=_("Text of a Dockerfile"),
        required=False,
        max_length=262_144,
        help_text=_("In place of a file of the context."),
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 4}),
    )
    stage = forms.ChoiceField(
        label=_("Stage"), required=False, help_text=_("Where what a push has built goes by itself.")
    )

    def __init__(self, *args: Any, tenants: list[Tenant], stages: list[Stage], **more: Any) -> None:
        super().__init__(*args, **more)
        for name, choices in (
            ("tenant", [(str(one.pk), str(one)) for one in tenants]),
            ("stage", [("", _("nowhere")), *((str(one.pk), f"{one} ({one.tenant})") for one in stages)]),
        ):
            offer(self, name, choices)


class RunForm(forms.Form):
    tag = forms.CharField(max_length=128, required=False)
    is_fresh = forms.BooleanField(required=False)
