"""The form that an archive comes by."""

from django import forms
from django.utils.translation import gettext_lazy as _


class ImportForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=64,
        help_text=_("Lower-case letters, digits, dots, hyphens and underscores."),
    )
    title = forms.CharField(label=_("Title"), max_length=120, required=False)
    archive = forms.Field(
        label=_("Archive"),
        required=False,
        help_text=_(
            "A tar of the whole root, plain or packed by gzip, xz, zstd or bzip2. Device nodes are left out."
        ),
        widget=forms.FileInput(attrs={"required": True}),
    )
