"""Public SSH keys as people paste them."""

import base64
import binascii
import re
from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
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


#: OpenSSH takes no shorter ones (sshd_config(5), RequiredRSASize; 1,024 is the least that any version takes).
_LEAST_RSA_BITS = 1024
#: Copied along from web pages: byte order mark, zero-width space and joiners, soft hyphen, word joiner.
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u00ad\u2060"


def _check_security_key(kind: str, blob: bytes) -> None:
    """PROTOCOL.u2f of OpenSSH: the type, the key's own fields, the application; nothing after. `ValueError`."""
    fields = []
    at = 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        field = blob[at + 4 : at + 4 + length]
        if len(field) != length:
            raise ValueError("cut off")
        fields.append(field)
        at += 4 + length
    is_ed25519 = kind.startswith("sk-ssh-ed25519")
    if len(fields) != (3 if is_ed25519 else 4):
        raise ValueError("not all of its fields")
    key = fields[1] if is_ed25519 else fields[2]
    if len(key) != (32 if is_ed25519 else 65) or not fields[-1]:
        raise ValueError("no key in it")
    if not is_ed25519:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key)


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
    text = key.strip(" \t\r\n")
    parts = re.split("[ \t]+", text, maxsplit=2)
    why = ""
    odd = next((one for one in text if (one.isspace() and one not in " \t\n\r") or one in _INVISIBLE), "")
    if odd:
        why = _("it has a character that OpenSSH does not take for a space (%(code)s)") % {
            "code": f"U+{ord(odd):04X}"
        }
    elif len(parts) < 2 or "\n" in text or "\r" in text or "\0" in text or len(text) > 16_384:
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
            elif parts[0].startswith("sk-"):
                _check_security_key(parts[0], blob)
            else:
                loaded = load_ssh_public_key(" ".join(parts[:2]).encode())
                if isinstance(loaded, RSAPublicKey) and loaded.key_size < _LEAST_RSA_BITS:
                    why = _("an RSA key has at least %(bits)s bits, this one %(has)s") % {
                        "bits": _LEAST_RSA_BITS,
                        "has": loaded.key_size,
                    }
        except (binascii.Error, ValueError, UnsupportedAlgorithm):
            why = _("its base64 text is not a key; copy the whole line of the .pub file")
        if not why and len(parts) == 3 and any(word in _KEY_TYPES for word in parts[2].split()):
            why = _("there is another key on its line; give each its own")
    if why:
        raise Invalid(
            _("SSH key %(number)s isn't a public key: %(why)s.") % {"number": number, "why": why},
            field="ssh_keys",
        )
    return text
