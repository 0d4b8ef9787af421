"""The field of forms that public keys are pasted into."""

from typing import TYPE_CHECKING

from django import forms

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


def ssh_key_field(label: "_StrPromise", help_text: "_StrPromise", *, rows: int = 3) -> forms.CharField:
    """One key a line, as files of them have it; may be left empty. Whether they are keys says the service."""
    look = {"rows": rows, "spellcheck": "false", "placeholder": "ssh-ed25519 AAAA… you@laptop"}
    return forms.CharField(
        label=label, required=False, strip=False, help_text=help_text, widget=forms.Textarea(attrs=look)
    )
