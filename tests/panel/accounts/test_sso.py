"""Single sign-on with a real OpenID Connect provider on loopback (oidc-provider-mock)."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from allauth.mfa.totp.internal import auth as totp
from django.test import Client, override_settings
from oidc_provider_mock import User as Claims
from oidc_provider_mock import run_server_in_thread

from panel.accounts.models import User
from panel.config.settings import SOCIALACCOUNT_PROVIDERS
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The issuer's address."""
    claims = [
        Claims(sub="known", claims={"email": "known@example.test", "email_verified": True}),
        Claims(sub="unverified", claims={"email": "known@example.test", "email_verified": False}),
        Claims(sub="new", claims={"email": "new@example.test", "email_verified": True}),
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
@pytest.mark.parametrize("subject", ["unverified", "new"])
def test_nobody_else_gets_in(subject: str) -> None:
    factories.person(username="known")
    client = Client()
    come_back(client, subject)
    assert not is_in(client)
    assert not User.objects.filter(email="new@example.test").exists()


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
