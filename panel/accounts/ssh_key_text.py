"""Public SSH keys as people paste them."""

import base64
import binascii
from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from django.utils.translation import gettext as _

from panel.errors import Invalid

_KEY_TYPES = {
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
}
_MOST_KEYS = 50


def check_ssh_keys(keys: Sequence[str]) -> list[str]:
    """The keys, trimmed and without doubles; raises `Invalid` that names the first bad one."""
    if len(keys) > _MOST_KEYS:
        raise Invalid(
            _("At most %(most_keys)s SSH keys; %(keys)s were given.")
            % {"most_keys": _MOST_KEYS, "keys": len(keys)},
            field="ssh_keys",
        )
    return list(dict.fromkeys(_checked(key, number) for number, key in enumerate(keys, start=1)))


def _checked(key: str, number: int) -> str:
    text = key.strip()
    parts = text.split(None, 2)
    why = ""
    if len(parts) < 2 or "\n" in text or "\r" in text or "\0" in text or len(text) > 16_384:
        why = _("it must be one line: type, base64 text, and perhaps a comment")
    elif "PRIVATE KEY" in text:
        why = _("it is a private key; keep that to yourself and give the .pub file")
    elif parts[0] not in _KEY_TYPES:
        why = _("its type %(type)s isn't known; try ssh-ed25519 or ssh-rsa") % {"type": parts[0][:40]}
    else:
        try:
            blob = base64.b64decode(parts[1], validate=True)
            if blob[4 : 4 + int.from_bytes(blob[:4], "big")] != parts[0].encode():
                why = _("its base64 text is of another type than it says")
            elif not parts[0].startswith("sk-"):
                load_ssh_public_key(" ".join(parts[:2]).encode())
        except (binascii.Error, ValueError, UnsupportedAlgorithm):
            why = _("its base64 text is not a key; copy the whole line of the .pub file")
    if why:
        raise Invalid(
            _("SSH key %(number)s isn't a public key: %(why)s.") % {"number": number, "why": why},
            field="ssh_keys",
        )
    return text
