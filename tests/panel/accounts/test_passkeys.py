"""F11: a passkey answers one challenge, once, for this host name; nothing goes around it.

The authenticator is software (W3C WebAuthn, level 2): a key, and what a browser and a device sign with it.
"""

import json
from hashlib import sha256
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.core import mail
from django.test import Client
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from panel.accounts.models import User
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_HOST = "testserver"
_PRESENT, _VERIFIED, _WITH_CREDENTIAL = 0x01, 0x04, 0x40
_ADD = "/accounts/2fa/webauthn/add/"
_SIGN = "/accounts/2fa/authenticate/"


class Passkey:
    """A device with one key, and the browser that it is plugged into."""

    id = b"passkey-of-a-test"

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def made(self, challenge: bytes) -> dict[str, Any]:
        """The answer to `navigator.credentials.create()`."""
        public = ES256.from_cryptography_key(self.key.public_key())
        attested = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        flags = _PRESENT | _VERIFIED | _WITH_CREDENTIAL
        data = AuthenticatorData.create(sha256(_HOST.encode()).digest(), flags, 0, attested)
        client_data = self._client_data("webauthn.create", challenge, f"https://{_HOST}")
        return self._answer(
            {
                "clientDataJSON": websafe_encode(client_data),
                "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
            }
        )

    def signed(
        self,
        challenge: bytes,
        *,
        rp_id: str = _HOST,
        origin: str = f"https://{_HOST}",
        flags: int = _PRESENT | _VERIFIED,
        user: User | None = None,
    ) -> dict[str, Any]:
        """The answer to `navigator.credentials.get()`, for the page of `origin` and the name `rp_id`."""
        data = AuthenticatorData.create(sha256(rp_id.encode()).digest(), flags, 1)
        client_data = self._client_data("webauthn.get", challenge, origin)
        signature = self.key.sign(data + sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": websafe_encode(client_data),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
        }
        if user is not None:
            response["userHandle"] = websafe_encode(str(user.pk).encode())
        return self._answer(response)

    def _client_data(self, kind: str, challenge: bytes, origin: str) -> bytes:
        return bytes(CollectedClientData.create(type=kind, challenge=challenge, origin=origin))

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        name = websafe_encode(self.id)
        extensions: dict[str, Any] = {"credProps": {"rk": True}}
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": extensions,
        }


@pytest.fixture(autouse=True)
def _over_tls(settings: Any) -> None:
    """As `./wadah up --domain` has it: then the page's own address is checked as well."""
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = False
    settings.MFA_PASSKEY_LOGIN_ENABLED = True


def challenge_of(client: Client) -> bytes:
    """What the page gave to the browser's script."""
    return websafe_decode(client.session["mfa.webauthn.state"]["challenge"])


def is_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def at_the_form(user: User) -> Client:
    """Signed in with a password, said it again, and at the page that adds a passkey."""
    client = Client()
    client.post("/accounts/login/", {"login": user.username, "password": factories.PASSWORD})
    assert client.get(_ADD)["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": factories.PASSWORD})
    assert client.get(_ADD).status_code == 200
    return client


@pytest.fixture
def registered() -> tuple[User, Passkey]:
    """Somebody who has signed in with a password and added a passkey."""
    user, passkey = factories.person(password=factories.PASSWORD), Passkey()
    client = at_the_form(user)
    made = json.dumps(passkey.made(challenge_of(client)))
    answer = client.post(_ADD, {"name": "test", "credential": made})
    assert answer.status_code == 302, answer.content
    assert Authenticator.objects.filter(user=user, type="webauthn").exists()
    return user, passkey


def after_password(user: User) -> Client:
    """Somebody who knows the password, at the page that asks for the passkey."""
    client = Client()
    answer = client.post("/accounts/login/", {"login": user.username, "password": factories.PASSWORD})
    assert answer["Location"].startswith(_SIGN)
    assert client.get(_SIGN).status_code == 200
    assert not is_in(client)
    return client


def send(client: Client, credential: dict[str, Any]) -> None:
    client.post(_SIGN, {"credential": json.dumps(credential)})


def test_it_opens_with_the_right_answer(registered: tuple[User, Passkey]) -> None:
    user, passkey = registered
    client = after_password(user)
    send(client, passkey.signed(challenge_of(client)))
    assert is_in(client)


def test_an_answer_is_not_taken_again(registered: tuple[User, Passkey]) -> None:
    """Neither in another sign-in, which has a challenge of its own, nor after the same one was over."""
    user, passkey = registered
    first = after_password(user)
    seen = passkey.signed(challenge_of(first))
    send(first, seen)
    assert is_in(first)
    second = after_password(user)
    send(second, seen)
    assert not is_in(second), "another challenge"
    first.post("/accounts/logout/")
    first.post("/accounts/login/", {"login": user.username, "password": factories.PASSWORD})
    send(first, seen)
    assert not is_in(first), "no challenge is open"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rp_id": "evil.example"},
        {"rp_id": f"login.{_HOST}"},
        {"origin": "https://evil.example"},
        {"origin": f"https://{_HOST}.evil.example"},
        {"flags": 0},
    ],
    ids=["another name", "a name below it", "another page", "a page that looks like it", "nobody touched it"],
)
def test_an_answer_for_elsewhere_is_refused(registered: tuple[User, Passkey], wrong: dict[str, Any]) -> None:
    user, passkey = registered
    client = after_password(user)
    send(client, passkey.signed(challenge_of(client), **wrong))
    assert not is_in(client)


def test_another_key_or_another_persons_is_refused(registered: tuple[User, Passkey]) -> None:
    user, passkey = registered
    client = after_password(user)
    send(client, Passkey().signed(challenge_of(client)))
    assert not is_in(client)
    other = factories.person(password=factories.PASSWORD)
    Authenticator.objects.create(user=other, type="totp", data={"secret": ""})
    client = after_password(other)
    session = client.session
    session["mfa.webauthn.state"] = {"challenge": websafe_encode(b"c" * 32), "user_verification": None}
    session.save()
    send(client, passkey.signed(b"c" * 32))
    assert not is_in(client)


def test_without_a_password_it_must_know_who_holds_it(registered: tuple[User, Passkey]) -> None:
    """By a fingerprint or a PIN: a touch alone would be one factor."""
    user, passkey = registered
    for flags, wanted in ((_PRESENT, False), (_PRESENT | _VERIFIED, True)):
        client = Client(headers={"X-Requested-With": "XMLHttpRequest"})
        client.get("/accounts/2fa/webauthn/login/")
        credential = json.dumps(passkey.signed(challenge_of(client), flags=flags, user=user))
        client.post("/accounts/2fa/webauthn/login/", {"credential": credential})
        assert is_in(client) == wanted


def test_a_new_password_by_mail_asks_for_it_too(registered: tuple[User, Passkey]) -> None:
    user, _ = registered
    client = Client()
    client.post("/accounts/password/reset/", {"email": user.email})
    link = next(word for word in mail.outbox[-1].body.split() if "/password/reset/key/" in word)
    form = client.get(link.removeprefix(f"http://{_HOST}"), follow=True).redirect_chain[-1][0]
    client.post(form, {"password1": factories.PASSWORD + "-2", "password2": factories.PASSWORD + "-2"})
    assert not is_in(client)
    answer = client.post("/accounts/login/", {"login": user.username, "password": factories.PASSWORD + "-2"})
    assert answer["Location"].startswith(_SIGN)
    assert not is_in(client)


def test_a_key_is_added_for_this_name_and_challenge_alone() -> None:
    user, passkey = factories.person(password=factories.PASSWORD), Passkey()
    client = at_the_form(user)
    made = json.dumps(passkey.made(b"another challenge, 32 bytes long"))
    assert client.post(_ADD, {"name": "test", "credential": made}).status_code == 200
    assert not Authenticator.objects.filter(user=user, type="webauthn").exists()
