"""User and password of a domain that not everybody may look at."""

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

#: Of scrypt (RFC 7914): 4 MiB and 8 ms for each guess.
N, R, P = 4096, 8, 1
#: Pairs that were right, so that a page with fifty pictures costs one look.
_MOST_KNOWN = 10_000
#: Guesses that wait for the one thread; more are refused, whoever makes them.
_MOST_WAITING = 32


class TooManyGuesses(Exception):
    pass


class Passwords:
    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._thread = ThreadPoolExecutor(1)
        self._waiting = 0

    async def are_right(self, users: Mapping[str, str], authorization: str) -> bool:
        """Whether the header names one of them. Raises `TooManyGuesses`."""
        name, password = _pair(authorization)
        stored = users.get(name, "")
        if not stored:
            return False
        mark = hashlib.sha256(f"{stored}\0{password}".encode()).digest()
        if mark in self._known:
            self._known.move_to_end(mark)
            return True
        if self._waiting >= _MOST_WAITING:
            raise TooManyGuesses
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            is_right = await loop.run_in_executor(self._thread, is_password, stored, password)
        finally:
            self._waiting -= 1
        if is_right:
            self._known[mark] = None
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return is_right


def is_password(stored: str, password: str) -> bool:
    """`stored`: `scrypt$SALT$HASH`, both in base64."""
    try:
        kind, salt, wanted = stored.split("$")
        made = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), n=N, r=R, p=P, dklen=32)
        return kind == "scrypt" and hmac.compare_digest(made, base64.b64decode(wanted))
    except ValueError:
        return False


def _pair(authorization: str) -> tuple[str, str]:
    """Of `Basic …` (RFC 7617); empty for anything else."""
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password
