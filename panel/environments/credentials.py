"""Root's ways in: checked SSH keys, and passwords as crypt(5) text."""

import ctypes
import ctypes.util
import secrets
import string
from functools import cache

from django.utils.translation import gettext as _

from panel.errors import Invalid

#: sha512crypt, which busybox and every libc know. Rounds: crypt(5) allows 1,000 to 999,999,999.
_ROUNDS_CHOSEN = 100_000
#: A password of ours has more than 100 random bits, so slow hashing would add nothing.
_ROUNDS_RANDOM = 1_000
_SALT = "./" + string.digits + string.ascii_letters
_WORD = string.ascii_letters.translate(str.maketrans("", "", "lIO")) + "23456789"


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
