"""What an OpenID Connect provider says of a person: checked, and made one of its two documents.

The ID token and the answer of the UserInfo endpoint may both speak; where they disagree, nobody is signed in.
Chapters are those of OpenID Connect Core 1.0.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from jwt import PyJWTError, get_unverified_header

from panel.accounts.mail_address import mail_address
from panel.errors import Invalid

#: Longest subject (Core, chapter 2).
_LONGEST_SUBJECT = 255
_LONGEST_UID = 191
#: `true` is the standard's (5.1); the text is what Cognito, Apple, PayPal and JumpCloud send for it.
_IS_VERIFIED = (True, "true")
#: Of a signature's name, its end (RFC 7518, 3.1); of others, as of EdDSA, what their curve hashes with.
_DIGESTS = {"256": "sha256", "384": "sha384", "512": "sha512", "DSA": "sha512"}
_NAMES = ("preferred_username", "name")


class BadClaims(Exception):
    """The sign-in is refused; the text says why, to its reader."""


@dataclass(frozen=True)
class Claims:
    issuer: str
    subject: str
    email: str
    """Empty: none that could be one was sent."""
    is_verified: bool
    names: dict[str, str]

    @property
    def uid(self) -> str:
        """Whom an account belongs to: a subject is unique at its issuer only (5.7)."""
        return uid_of(self.issuer, self.subject)


def uid_of(issuer: str, subject: str) -> str:
    """In the 191 characters that allauth has for it."""
    text = f"{issuer} {subject}"
    return text if len(text) <= _LONGEST_UID else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def agreed(id_token: dict[str, Any], userinfo: Any, *, client_id: str, nonce: str) -> Claims:
    """Of an ID token whose issuer, audience and end were looked at. `userinfo` None: there is no such endpoint.

    Raises `BadClaims`.
    """
    _check_for_us(id_token, client_id, nonce)
    documents = [id_token]
    if userinfo is not None:
        if not isinstance(userinfo, dict):
            raise BadClaims(_("What the provider says of you isn't a document of claims."))
        if userinfo.get("sub") != id_token.get("sub"):
            raise BadClaims(_("The provider's ID token and its UserInfo speak of two different people."))
        documents.append(userinfo)
    email, is_verified = _address(documents)
    names = {key: one[key] for one in documents for key in _NAMES if isinstance(one.get(key), str)}
    return Claims(str(id_token["iss"]), _subject(id_token), email, is_verified, names)


def check_access_token(id_token: dict[str, Any], text: str, access_token: str) -> None:
    """3.1.3.8, where the ID token (`text` as it came) says anything of it: that both came together. Raises
    `BadClaims`."""
    said = id_token.get("at_hash")
    if said is None:
        return
    try:
        algorithm = str(get_unverified_header(text)["alg"])
    except (PyJWTError, KeyError):
        algorithm = ""
    digest = hashlib.new(_DIGESTS.get(algorithm[-3:], "sha256"), access_token.encode()).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(said, str) or said.rstrip("=") != half:
        raise BadClaims(_("The provider's ID token belongs to another access token."))


def _check_for_us(id_token: dict[str, Any], client_id: str, nonce: str) -> None:
    """3.1.3.7: the authorized party, and the number that this sign-in began with."""
    audience, party = id_token.get("aud"), id_token.get("azp")
    is_shared = isinstance(audience, list) and len(audience) > 1
    if party not in (None, client_id) or (is_shared and party != client_id):
        raise BadClaims(_("The provider's ID token was made for another client."))
    if not nonce or id_token.get("nonce") != nonce:
        raise BadClaims(_("The provider's ID token belongs to another sign-in; try again."))


def _subject(id_token: dict[str, Any]) -> str:
    subject = id_token.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise BadClaims(_("The provider does not say who you are: its ID token has no good “sub”."))
    return subject


def _address(documents: list[dict[str, Any]]) -> tuple[str, bool]:
    """The address, and whether the same document calls it verified. Two that speak of it say the same."""
    found = {
        (_clean(one["email"]), _is_verified(one.get("email_verified"))) for one in documents if one.get("email")
    }
    if len(found) > 1:
        raise BadClaims(_("The provider's ID token and its UserInfo disagree about your e-mail address."))
    email, is_verified = found.pop() if found else ("", False)
    return email, is_verified and bool(email)


def _is_verified(value: Any) -> bool:
    """Not by truth: the text `false` is one. 1 equals True, and is not it."""
    return any(type(value) is type(known) and value == known for known in _IS_VERIFIED)


def _clean(value: Any) -> str:
    try:
        return mail_address(value) if isinstance(value, str) else ""
    except Invalid:
        return ""
