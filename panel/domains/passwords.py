"""Passwords of people who may look at a site, as the router compares them (`runtime.router.passwords`)."""

import base64
import hashlib
import os
import re
from collections.abc import Mapping

from django.utils.translation import gettext as _

from panel.errors import Invalid

MOST_USERS, LEAST_LETTERS, MOST_LETTERS = 50, 8, 200
_USER = re.compile(r"^[^\x00-\x20:\x7f]{1,64}$")


def hashed(password: str) -> str:
    salt = os.urandom(16)
    made = hashlib.scrypt(password.encode(), salt=salt, n=4096, r=8, p=1, dklen=32)
    return "$".join(("scrypt", base64.b64encode(salt).decode(), base64.b64encode(made).decode()))


def changed_users(known: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
    """With those that are given: a password sets one, null takes one out. Raises `Invalid`."""
    found = dict(known)
    for name, password in given.items():
        if not _USER.match(name):
            raise Invalid(_("A user's name has 1 to 64 letters, no space and no colon."), field="basic_auth")
        if password is None:
            found.pop(name, None)
        elif not LEAST_LETTERS <= len(password) <= MOST_LETTERS:
            raise Invalid(
                _("A password has %(least)s to %(most)s letters.")
                % {"least": LEAST_LETTERS, "most": MOST_LETTERS},
                field="basic_auth",
            )
        else:
            found[name] = hashed(password)
    if len(found) > MOST_USERS:
        raise Invalid(_("At most %(most)s users.") % {"most": MOST_USERS}, field="basic_auth")
    return found
