"""Single sign-on with a real OpenID Connect provider on loopback (oidc-provider-mock)."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from allauth.mfa.totp.internal import auth as totp
from allauth.socialaccount.models import SocialAccount
from django.test import Client, override_settings
from oidc_provider_mock import User as Claims
from oidc_provider_mock import run_server_in_thread

from panel.accounts import single_sign_on
from panel.accounts.claims import BadClaims, check_access_token, uid_of
from panel.accounts.models import User
from panel.config.env import PanelEnv
from panel.config.settings import SOCIALACCOUNT_PROVIDERS
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

#: More in `test_claims.py`.
ODD = ["false", "TRUE", 1]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The issuer's address."""
    claims = [
        Claims(sub="known", claims={"email": "known@example.test", "email_verified": True}),
        Claims(sub="unverified", claims={"email": "known@example.test", "email_verified": False}),
        Claims(sub="new", claims={"email": "new@example.test", "email_verified": True}),
        Claims(sub="text-true", claims={"email": "known@example.test", "email_verified": "true"}),
        Claims(sub="no-word", claims={"email": "known@example.test"}),
        Claims(sub="look-alike", claims={"email": "\u212anown@example.test", "email_verified": True}),
        *(
            Claims(sub=f"odd-{number}", claims={"email": "known@example.test", "email_verified": value})
            for number, value in enumerate(ODD)
        ),
    ]
    with run_server_in_thread(user_claims=claims) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def configured(provider: str, settings: Any) -> Iterator[None]:
    app = {
        "provider_id": "sso",
        "name": "Company",
        "client_id": "wadah",
        "secret": "not-so-secret",
        "settings": {"server_url": provider},
    }
    providers = {"openid_connect": {**SOCIALACCOUNT_PROVIDERS["openid_connect"], "APPS": [app]}}
    wadah = settings.WADAH.model_copy(update={"oidc_url": provider, "oidc_name": "Company"})
    single_sign_on._DISCOVERED.clear()
    with override_settings(SOCIALACCOUNT_PROVIDERS=providers, WADAH=wadah):
        yield


def come_back(client: Client, subject: str) -> Any:
    """Goes to the provider, signs in there as `subject`, and follows back."""
    away = client.post("/accounts/oidc/sso/login/")
    assert away.status_code == 302, away.content
    answer = requests.post(away["Location"], data={"sub": subject}, allow_redirects=False, timeout=30)
    assert answer.status_code in (302, 303), answer.text
    back = urlsplit(answer.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def is_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


@pytest.mark.usefixtures("configured")
def test_the_sign_in_page_offers_it() -> None:
    assert "Company" in Client().get("/accounts/login/").content.decode()


@pytest.mark.usefixtures("configured")
def test_an_account_with_the_verified_address_is_signed_in() -> None:
    user = factories.person(username="known")
    client = Client()
    come_back(client, "known")
    assert is_in(client)
    assert re.search(r"\bknown\b", client.get("/profile/").content.decode())
    assert User.objects.filter(email=user.email).count() == 1


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    "subject", ["unverified", "new", "no-word", "look-alike", *(f"odd-{number}" for number in range(len(ODD)))]
)
def test_nobody_else_gets_in_and_is_told_why(subject: str) -> None:
    factories.person(username="known", is_superuser=True)
    client = Client()
    answer = come_back(client, subject)
    assert not is_in(client)
    assert answer.status_code == 403
    reason = "No account here has the address" if subject == "new" else "that the address is yours"
    assert reason in " ".join(answer.content.decode().split())
    assert not User.objects.filter(email="new@example.test").exists()


@pytest.mark.usefixtures("configured")
def test_the_text_true_of_known_providers_is_taken() -> None:
    factories.person(username="known")
    client = Client()
    come_back(client, "text-true")
    assert is_in(client)


@pytest.mark.usefixtures("configured")
def test_an_account_is_made_where_the_operator_allows_it(settings: Any) -> None:
    with override_settings(WADAH=settings.WADAH.model_copy(update={"oidc_creates_accounts": True})):
        client = Client()
        come_back(client, "new")
    assert is_in(client)
    made = User.objects.get(email="new@example.test")
    assert not made.is_superuser
    assert not made.memberships.exists()


@pytest.mark.usefixtures("configured")
def test_the_second_factor_is_asked_for_all_the_same() -> None:
    """F11: not gone around by single sign-on."""
    totp.TOTP.activate(factories.person(username="known"), "JBSWY3DPEHPK3PXP")
    client = Client()
    answer = come_back(client, "known")
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert not is_in(client)


def _spoken(monkeypatch: pytest.MonkeyPatch, **claims: Any) -> None:
    """The ID token says this as well; None: it doesn't say so at all."""
    decode = single_sign_on.Adapter._decode_id_token

    def decoded(self: Any, app: Any, text: str) -> dict[str, Any]:
        said = {**decode(self, app, text), **claims}
        return {name: value for name, value in said.items() if value is not None}

    monkeypatch.setattr(single_sign_on.Adapter, "_decode_id_token", decoded)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("claims", [{"sub": "somebody-else"}, {"nonce": "of another sign-in"}], ids=str)
def test_two_words_that_disagree_let_nobody_in(claims: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.person(username="known", is_superuser=True)
    _spoken(monkeypatch, **claims)
    client = Client()
    answer = come_back(client, "known")
    assert not is_in(client)
    assert answer.status_code == 403
    assert b"did not sign you in" in answer.content


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://id.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["wadah", "another"]},
        {"aud": None},
        {"azp": "another"},
        {"exp": 1},
        {"exp": "never"},
        {"nonce": None},
        {"nonce": ""},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"at_hash": ""},
        {"at_hash": 7},
    ],
    ids=str,
)
def test_a_token_of_something_else_lets_nobody_in(claims: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the provider's TLS brings it; whatever its signature says, which isn't looked at there."""
    factories.person(username="known", is_superuser=True)
    decode = single_sign_on.Adapter._decode_id_token

    def forged(self: Any, app: Any, text: str) -> Any:
        said = {**jwt.decode(text, options={"verify_signature": False}), **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return decode(self, app, jwt.encode(said, "k" * 64, algorithm="HS256"))

    monkeypatch.setattr(single_sign_on.Adapter, "_decode_id_token", forged)
    client = Client()
    assert come_back(client, "known").status_code == 403
    assert not is_in(client)


@pytest.mark.usefixtures("configured")
def test_a_token_says_which_access_token_it_came_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """at_hash, where the provider sends one (Core 3.1.3.6): half of the digest."""
    factories.person(username="known")
    fetch = single_sign_on.Adapter._fetch_user_info
    token: list[str] = []

    def kept(self: Any, access_token: str) -> Any:
        token.append(access_token)
        return fetch(self, access_token)

    monkeypatch.setattr(single_sign_on.Adapter, "_fetch_user_info", kept)
    assert come_back(Client(), "known").status_code == 302
    digest = hashlib.sha256(token[0].encode()).digest()
    half = urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
    told = jwt.encode({}, "k" * 64, algorithm="HS256")
    check_access_token({"at_hash": half}, told, token[0])
    with pytest.raises(BadClaims):
        check_access_token({"at_hash": half}, told, f"{token[0]}x")


@pytest.mark.usefixtures("configured")
def test_strangers_who_begin_a_sign_in_have_the_provider_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    send = requests.Session.send

    def counted(self: Any, request: Any, **options: Any) -> Any:
        asked.append(request.url)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", counted)
    for _ in range(8):
        assert Client().post("/accounts/oidc/sso/login/").status_code == 302
    assert len(asked) == 1


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("odd", [[], {}], ids=repr)
def test_an_odd_answer_of_the_provider_is_a_page(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_sign_on.Adapter, "_fetch_user_info", lambda *_: odd)
    assert come_back(Client(), "known").status_code == 403


@pytest.mark.usefixtures("configured")
def test_a_provider_without_userinfo_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.person(username="known")
    config = single_sign_on.Adapter.openid_config
    without = property(lambda self: {**config.fget(self), "userinfo_endpoint": None})  # type: ignore[attr-defined]
    monkeypatch.setattr(single_sign_on.Adapter, "openid_config", without)
    client = Client()
    come_back(client, "known")
    assert is_in(client)


@pytest.mark.usefixtures("configured")
def test_a_provider_that_is_away_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests.Session, "get", away)
    answer = Client().post("/accounts/oidc/sso/login/")
    assert answer.status_code == 403
    assert b"did not sign you in" in answer.content


@pytest.mark.usefixtures("configured")
def test_a_link_brings_nothing_along_to_the_provider() -> None:
    answer = Client().post(
        "/accounts/oidc/sso/login/?auth_params=redirect_uri%3Dhttps%3A%2F%2Fevil.example%26nonce%3D1&scope=all"
    )
    asked = parse_qs(urlsplit(answer["Location"]).query)
    assert asked["redirect_uri"] == ["http://testserver/accounts/oidc/sso/login/callback/"]
    assert len(asked["nonce"][0]) >= 32
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}


@pytest.mark.usefixtures("configured")
def test_a_subject_belongs_to_its_issuer() -> None:
    """With another provider in the place of the first one, its `known` is somebody else."""
    user = factories.person(username="once")
    SocialAccount.objects.create(user=user, provider="sso", uid=uid_of("https://old.example", "known"))
    client = Client()
    assert come_back(client, "known").status_code == 403
    assert not is_in(client)


@pytest.mark.parametrize("url", ["http://id.example", "ftp://id.example", "id.example", "https://"])
def test_an_issuer_without_tls_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        PanelEnv(oidc_url=url)
