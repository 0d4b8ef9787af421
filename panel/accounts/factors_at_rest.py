"""TOTP secrets and seeds of recovery codes, encrypted in the database: a stolen copy of it signs nobody in."""

from collections.abc import Sequence

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.conf import settings

from panel.at_rest import box

#: What is encrypted begins so; neither a TOTP secret (base32) nor a seed (hexadecimal digits) can.
MARK = "fernet:"
_FIELDS = ("secret", "seed")


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    def encrypt(self, text: str) -> str:
        return _encrypted(text, settings.SECRETS.field_keys)

    def decrypt(self, encrypted_text: str) -> str:
        return _plain(encrypted_text, settings.SECRETS.field_keys)


def _encrypted(text: str, keys: Sequence[str]) -> str:
    return MARK + box(keys).encrypt(text.encode()).decode()


def _plain(text: str, keys: Sequence[str]) -> str:
    """What an older version wrote is plain. Raises `InvalidToken` when none of the keys fits."""
    if not text.startswith(MARK):
        return text
    return box(keys).decrypt(text.removeprefix(MARK)).decode()


def encrypt_anew(keys: Sequence[str], *, only_plain: bool = False) -> int:
    """By the first key, what any of them can read; with `only_plain` what isn't encrypted at all. How many were
    written; one that nobody can read any more is left as it is."""
    count = 0
    for row in Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).iterator():
        before = {name: row.data[name] for name in _FIELDS if name in row.data}
        if only_plain and all(text.startswith(MARK) for text in before.values()):
            continue
        try:
            row.data.update({name: _encrypted(_plain(text, keys), keys) for name, text in before.items()})
        except InvalidToken:
            continue
        row.save(update_fields=["data"])
        count += 1
    return count
