"""How many wrong passwords and codes: by client, by client and account, by account; and who is let through.

An account must not be guessed from many places, and nobody may keep its owner out by guessing. So what is
counted for an account over all places (at most 100 in an hour, OWASP ASVS 4.0.3, 2.2.1) holds up only clients
that it doesn't know: not a browser that has signed in to it (a signed cookie, as OWASP describes in "Slow Down
Online Guessing Attacks with Device Cookies"), which has a count of its own; not an address that signed in to it
lately; not the machine itself. A passkey and single sign-on aren't guesses, and aren't counted.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from panel.accounts.models import User
from panel.http.client import block_of, client_address, is_of_this_machine

What = Literal["password", "code"]
_HOUR_S, _DAY_S = 3600, 86_400
#: How long a browser and an address count as known after a sign-in.
DEVICE_S, ADDRESS_S = 180 * _DAY_S, 30 * _DAY_S
_SALT = "wadah.device"
#: Accounts that one browser is known to; of more the oldest is forgotten.
_MOST_ACCOUNTS = 8


@dataclass(frozen=True)
class Limit:
    most: int
    within_s: int


#: Right ones too: a password costs 0.2 s of a processor.
TRIES = Limit(30, 60)
#: A client that isn't known to the account: over all accounts, and with this one.
ADDRESS = Limit(30, 300)
PAIR = Limit(5, 300)
#: A browser that is known to it.
DEVICE = {"password": (Limit(10, 300),), "code": (Limit(5, 300), Limit(100, _DAY_S))}
#: All that aren't known, together. Of a million codes one is good: a hundred a day are 0.01 %.
ACCOUNT = {"password": Limit(100, _HOUR_S), "code": Limit(100, _DAY_S)}


class TooManyGuesses(Exception):
    """Nothing more is tried now."""


@dataclass(frozen=True)
class Try:
    """One password or code that is about to be looked at; counted as wrong unless it was `right`."""

    keys: tuple[str, ...]

    def right(self) -> None:
        for key in self.keys:
            with suppress(ValueError):  # its time was over meanwhile
                cache.decr(key)


def account_of(login: str) -> str:
    """One for all spellings of a name or address; what is no account's has one too."""
    name = login.strip().lower()
    his = Q(username__iexact=name) | Q(email__iexact=name) | Q(emailaddress__email__iexact=name)
    found = User.objects.filter(his).values_list("pk", flat=True).first()
    return key_of(found) if found is not None else hashlib.sha256(name.encode()).hexdigest()[:32]


def key_of(pk: object) -> str:
    return f"u{pk}"


def begin(request: HttpRequest, what: What, account: str) -> Try:
    """Raises `TooManyGuesses`, with nothing counted beyond the limit that was met."""
    device, known_to = _device(request)
    client = f"device:{device}" if account in known_to else f"address:{block_of(client_address(request.META))}"
    if not _take(f"tries:{what}:{client}", TRIES):
        raise TooManyGuesses
    taken: list[str] = []
    for key, limit in _limits(request, what, account):
        if not _take(key, limit):
            Try(tuple(taken)).right()
            raise TooManyGuesses
        taken.append(key)
    return Try(tuple(taken))


def _limits(request: HttpRequest, what: What, account: str) -> Iterator[tuple[str, Limit]]:
    device, known_to = _device(request)
    if account in known_to:
        for limit in DEVICE[what]:
            yield f"guess:{what}:{limit.within_s}:device:{device}:{account}", limit
        return
    address = client_address(request.META)
    block = block_of(address)
    yield f"guess:{what}:address:{block}", ADDRESS
    yield f"guess:{what}:pair:{block}:{account}", PAIR
    is_known = is_of_this_machine(address) or cache.get(_seen(account, block)) is not None
    if (
        what == "code" or not is_known
    ):  # who can read somebody's mail makes addresses known, as many as he likes
        yield f"guess:{what}:account:{account}", ACCOUNT[what]


def _take(key: str, limit: Limit) -> bool:
    for _ in range(2):
        cache.add(key, 0, limit.within_s)
        with suppress(ValueError):  # its time was over between the two
            if cache.incr(key) <= limit.most:
                return True
            cache.decr(key)
            return False
    return True


# who is known -------------------------------------------------------------------------------------


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """After a sign-in this browser and its address are known to the account; after a password that was set by a
    link in a mail, the address is. A no-op in any other request."""
    user, by_mail = getattr(request, "_wadah_known", (None, False))
    if user is None:
        return
    account = key_of(user.pk)
    cache.set(_seen(account, block_of(client_address(request.META))), 1, ADDRESS_S)
    if by_mail:
        return
    _, known_to = _device(request)
    accounts = [account, *(one for one in known_to if one != account)][:_MOST_ACCOUNTS]
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps([secrets.token_hex(8), *accounts], salt=_SALT),
        max_age=DEVICE_S,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def is_known(request: HttpRequest, user: Any, *, by_mail: bool = False) -> None:
    """To be remembered with the answer to this request."""
    request._wadah_known = (user, by_mail)  # type: ignore[attr-defined]


def _seen(account: str, block: str) -> str:
    return f"signed-in:{account}:{block}"


def _device(request: HttpRequest) -> tuple[str, list[str]]:
    """The browser's number and the accounts that it is known to; empty for a cookie that isn't ours."""
    cookie = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
    try:
        device, *accounts = (str(one) for one in signing.loads(cookie, salt=_SALT, max_age=DEVICE_S))
    except (signing.BadSignature, ValueError, TypeError):
        return "", []
    return device, accounts


# mails --------------------------------------------------------------------------------------------

#: To one address, whoever asks for them: links of the last days are good.
MAILS = Limit(5, _HOUR_S)


def may_mail(email: str) -> bool:
    """Counts it."""
    return _take(f"mail:{hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]}", MAILS)


# tokens -------------------------------------------------------------------------------------------

#: Of 256 random bits none is guessed; who goes on with a bad one asks the database each time.
TOKENS = Limit(120, 60)


def may_show_bad_token(request: HttpRequest) -> bool:
    """Counts one more from this client. Good tokens from the same place aren't held up."""
    return _take(f"guess:token:{block_of(client_address(request.META))}", TOKENS)
