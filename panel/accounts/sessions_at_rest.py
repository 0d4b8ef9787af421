"""Sessions, encrypted in the database: what they hold for a moment stays readable in no backup.

A password that is shown once, the secret of an authenticator app that is being set up, the verifier of a single
sign-on. By keys of the panel's signing keys, so that an exchange of those treats sessions as it says.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

_PURPOSE = b"wadah.session "


class SealedSerializer:
    """As Django's JSONSerializer, and closed. What an older version wrote is open, and can be read."""

    def dumps(self, values: dict[str, Any]) -> bytes:
        return _box().encrypt(json.dumps(values, separators=(",", ":")).encode())

    def loads(self, data: bytes) -> Any:
        """Raises when no key fits: Django takes it for an empty session."""
        return json.loads(data if data.startswith(b"{") else _box().decrypt(data))


def _box() -> MultiFernet:
    return MultiFernet([_key(one) for one in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(secret: str) -> Fernet:
    """The signing key has 512 random bits: one round is enough."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(_PURPOSE + secret.encode()).digest()))
