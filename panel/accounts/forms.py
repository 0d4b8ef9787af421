"""Forms of people."""

from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from panel.accounts.ssh_key_field import ssh_key_field


def _zones() -> list[tuple[str, str]]:
    """Of the machine's zone database, without those that name no place (`posix/…`, `Etc/GMT+5`)."""
    names = (one for one in available_timezones() if one == "UTC" or "/" in one)
    return [(one, one) for one in sorted(names) if not one.startswith(("posix/", "right/", "Etc/", "SystemV/"))]


class SshKeyForm(forms.Form):
    text = ssh_key_field(_("Public key"), _("One line, as in ~/.ssh/id_ed25519.pub."))
    name = forms.CharField(
        label=_("Name"), required=False, max_length=60, help_text=_("Empty: the key's comment.")
    )


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), required=False, max_length=120)
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=_zones)
