"""Root's ways in: checked SSH keys, and passwords as crypt(5) text."""

import base64
import binascii
import ctypes
import ctypes.util
import secrets
import string
from collections.abc import Sequence
from functools import cache

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
#: sha512crypt, which busybox and every libc know. Rounds: crypt(5) allows 1,000 to 999,999,999.
_ROUNDS_CHOSEN = 100_000
#: A password of ours has more than 100 random bits, so slow hashing would add nothing.
_ROUNDS_RANDOM = 1_000
_SALT = "./" + string.digits + string.ascii_letters
_WORD = string.ascii_letters.translate(str.maketrans("", "", "lIO")) + "23456789"


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


def check_password(password: str) -> str:
    if not 8 <= len(password) <= 128 or any(ord(c) < 32 or ord(c) == 127 for c in password) or ":" in password:
        raise Invalid(
            _("A root password has 8 to 128 characters, no colon and no control characters."),
            field="root_password",
        )
    return password


def random_password() -> str:
    """Five groups of four characters that nobody mistakes for one another: about 115 bits."""
    return "-".join("".join(secrets.choice(_WORD) for _ in range(4)) for _ in range(5))


def hash_password(password: str, *, is_random: bool = False) -> str:
    """crypt(5) text."""
    rounds = _ROUNDS_RANDOM if is_random else _ROUNDS_CHOSEN
    salt = "".join(secrets.choice(_SALT) for _ in range(16))
    return _crypt(password, f"$6$rounds={rounds}${salt}")


@cache
def _libcrypt() -> ctypes.CDLL:
    """libxcrypt, which Debian's own login uses; Python's `crypt` module is gone from 3.13 on."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1", use_errno=True)
    library.crypt_rn.restype = ctypes.c_char_p
    library.crypt_rn.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
    return library


#: sizeof(struct crypt_data), crypt(3)
_CRYPT_DATA_BYTES = 32_768


def _crypt(password: str, setting: str) -> str:
    data = ctypes.create_string_buffer(_CRYPT_DATA_BYTES)
    answer = _libcrypt().crypt_rn(password.encode(), setting.encode(), data, _CRYPT_DATA_BYTES)
    if answer is None:
        raise OSError(ctypes.get_errno(), "crypt(3) failed")
    return str(answer.decode())
