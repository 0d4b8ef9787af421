"""Forms of people."""

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from panel.accounts.ssh_key_field import ssh_key_field


class SshKeyForm(forms.Form):
    text = ssh_key_field(_("Public key"), _("One line, as in ~/.ssh/id_ed25519.pub."))
    name = forms.CharField(
        label=_("Name"), required=False, max_length=60, help_text=_("Empty: the key's comment.")
    )


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), required=False, max_length=120)
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    time_zone = forms.CharField(label=_("Time zone"), max_length=64, help_text=_("As Asia/Jakarta."))
