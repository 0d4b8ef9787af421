"""Guessing passwords and codes from anywhere: it ends soon, and keeps nobody out of his own account."""

import re
from typing import Any

import pytest
import redis
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core import mail
from django.test import Client

from panel.accounts import guesses
from panel.accounts.models import User
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
WRONG = "a-wrong-password-of-length"


@pytest.fixture
def user() -> User:
    return factories.person(password=factories.PASSWORD)


def _sign_in(client: Client, login: str, password: str, address: str = "192.0.2.1") -> bool:
    """Whether it led in."""
    answer = client.post("/accounts/login/", {"login": login, "password": password}, REMOTE_ADDR=address)
    assert answer.status_code in (200, 302)
    return bool(answer.status_code == 302)


def _says(client: Client, login: str, password: str, address: str = "192.0.2.1") -> str:
    answer = client.post("/accounts/login/", {"login": login, "password": password}, REMOTE_ADDR=address)
    return answer.content.decode()


def _guess(login: str, address: str, times: int = 5) -> None:
    for _ in range(times):
        assert not _sign_in(Client(), login, WRONG, address)


def _under_attack(user: User) -> None:
    """As many wrong passwords as an hour takes, from as many places."""
    for number in range(25):
        _guess(user.username, f"198.51.100.{number}", 4)


def test_who_guesses_is_shut_out_where_he_is_and_the_owner_is_not(user: User) -> None:
    _guess(user.username, "198.51.100.1")
    assert not _sign_in(Client(), user.username, factories.PASSWORD, "198.51.100.1")
    assert "Too many wrong tries" in _says(Client(), user.username, factories.PASSWORD, "198.51.100.1")
    assert _sign_in(Client(), user.username, factories.PASSWORD, "192.0.2.1")


def test_another_account_at_the_same_place_is_not_either(user: User) -> None:
    other = factories.person(password=factories.PASSWORD)
    _guess(user.username, "198.51.100.1")
    assert _sign_in(Client(), other.username, factories.PASSWORD, "198.51.100.1")


def test_from_many_places_no_more_than_a_hundred_in_an_hour(user: User) -> None:
    _under_attack(user)
    assert not _sign_in(Client(), user.username, factories.PASSWORD, "203.0.113.1")
    client = redis.Redis.from_url(settings.WADAH.cache_url)
    left_s = [client.ttl(key) for key in client.scan_iter("*guess*")]
    assert left_s
    assert all(0 < seconds <= 3600 for seconds in left_s), "it ends by itself"


def test_meanwhile_the_owner_gets_in_where_he_is_known(user: User) -> None:
    browser = Client()
    assert _sign_in(browser, user.username, factories.PASSWORD, "192.0.2.1")
    browser.post("/accounts/logout/")
    _under_attack(user)
    assert _sign_in(Client(), user.username, factories.PASSWORD, "192.0.2.1"), "from an address that signed in"
    assert _sign_in(browser, user.username, factories.PASSWORD, "203.0.113.7"), "in a browser that signed in"
    assert _sign_in(Client(), user.username, factories.PASSWORD, "127.0.0.1"), (
        "on the machine itself, by a tunnel"
    )


def test_a_known_browser_is_not_held_up_by_others_behind_its_address(user: User) -> None:
    browser = Client()
    _sign_in(browser, user.username, factories.PASSWORD, "192.0.2.1")
    browser.post("/accounts/logout/")
    for number in range(30):
        _sign_in(Client(), f"nobody-{number}", WRONG, "192.0.2.1")
    _guess(user.username, "192.0.2.1")
    assert not _sign_in(Client(), user.username, factories.PASSWORD, "192.0.2.1")
    assert _sign_in(browser, user.username, factories.PASSWORD, "192.0.2.1")


def test_meanwhile_the_owner_gets_in_by_a_mail(user: User) -> None:
    _under_attack(user)
    browser = Client(REMOTE_ADDR="203.0.113.9")
    browser.post("/accounts/password/reset/", {"email": user.email})
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.outbox[0].body)
    assert link is not None
    form = browser.get(link[1], follow=True).redirect_chain[-1][0]
    new = "another-long-and-odd-one"
    browser.post(form, {"password1": new, "password2": new})
    assert _sign_in(browser, user.username, new, "203.0.113.9")


def test_every_spelling_of_a_name_is_one_account(user: User) -> None:
    spellings = (user.username, user.username.upper(), user.email, user.email.title(), f" {user.email} ")
    for login in spellings:
        assert not _sign_in(Client(), login, WRONG, "198.51.100.1")
    assert not _sign_in(Client(), user.email, factories.PASSWORD, "198.51.100.1")


def test_an_account_that_is_not_there_answers_the_same(user: User) -> None:
    texts = []
    for login in (user.username, "nobody-at-all"):
        _guess(login, "198.51.100.1")
        text = _says(Client(), login, WRONG, "198.51.100.1")
        texts.append(re.sub(r"=\"[A-Za-z0-9+/=]{20,}\"", "", text).replace(login, "NAME"))
    assert texts[0] == texts[1]


def test_an_ipv6_client_is_his_64(user: User) -> None:
    for number in range(5):
        assert not _sign_in(Client(), user.username, WRONG, f"2001:db8:1:2::{number}")
    assert not _sign_in(Client(), user.username, factories.PASSWORD, "2001:db8:1:2:ffff:ffff:ffff:1")
    assert _sign_in(Client(), user.username, factories.PASSWORD, "2001:db8:1:3::1")


def test_right_ones_in_between_do_not_begin_the_count_anew(user: User) -> None:
    mine = factories.person(password=factories.PASSWORD)
    for _ in range(5):
        assert not _sign_in(Client(), user.username, WRONG, "198.51.100.1")
        assert _sign_in(Client(), mine.username, factories.PASSWORD, "198.51.100.1")
    assert not _sign_in(Client(), user.username, factories.PASSWORD, "198.51.100.1")


def test_signing_in_often_is_no_guess(user: User) -> None:
    for _ in range(12):
        assert _sign_in(Client(), user.username, factories.PASSWORD, "192.0.2.1")


def test_a_known_browser_guesses_no_faster(user: User) -> None:
    browser = Client()
    _sign_in(browser, user.username, factories.PASSWORD)
    browser.post("/accounts/logout/")
    for number in range(10):
        assert not _sign_in(browser, user.username, WRONG, f"198.51.100.{number}")
    assert not _sign_in(browser, user.username, factories.PASSWORD, "198.51.100.99")


@pytest.mark.parametrize("cookie", ["", "x", "x:y:z", "W10:1:abc"])
def test_a_cookie_of_another_account_or_of_nobody_opens_nothing(user: User, cookie: str) -> None:
    mine = factories.person(password=factories.PASSWORD)
    browser = Client()
    _sign_in(browser, mine.username, factories.PASSWORD, "198.51.100.9")
    browser.post("/accounts/logout/")
    if cookie:
        browser.cookies[settings.DEVICE_COOKIE_NAME] = cookie
    _under_attack(user)
    assert not _sign_in(browser, user.username, factories.PASSWORD, "198.51.100.200")


def test_the_cookie_is_for_our_pages_only_and_signs_nobody_in(user: User) -> None:
    browser = Client()
    _sign_in(browser, user.username, factories.PASSWORD)
    morsel = browser.cookies[settings.DEVICE_COOKIE_NAME]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"
    other = Client()
    other.cookies[settings.DEVICE_COOKIE_NAME] = morsel.value
    assert other.get("/profile/").status_code == 302


# the second factor --------------------------------------------------------------------------------


def _to_the_code(user: User, address: str) -> Client:
    client = Client(REMOTE_ADDR=address)
    assert _sign_in(client, user.username, factories.PASSWORD, address)
    return client


def _code(client: Client, code: str) -> bool:
    return bool(client.post("/accounts/2fa/authenticate/", {"code": code}).status_code == 302)


def test_who_knows_the_password_does_not_shut_its_owner_out_of_the_code(user: User) -> None:
    totp.TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    codes = iter(RecoveryCodes.activate(user).get_unused_codes())
    browser = _to_the_code(user, "192.0.2.1")
    assert _code(browser, next(codes))
    browser.post("/accounts/logout/")
    for number in range(20):
        thief = _to_the_code(user, f"198.51.100.{number}")
        for _ in range(5):
            assert not _code(thief, "000000")
    late = _to_the_code(user, "203.0.113.5")
    assert not _code(late, next(codes)), "a hundred a day from where it isn't known"
    assert _sign_in(browser, user.username, factories.PASSWORD, "203.0.113.6")
    assert _code(browser, next(codes)), "in a browser that is known"


# mails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_there", [True, False])
def test_nobody_is_flooded_with_mails(user: User, is_there: bool) -> None:
    email = user.email if is_there else "nobody@example.org"
    for number in range(12):
        asked = Client(REMOTE_ADDR=f"198.51.100.{number}").post("/accounts/password/reset/", {"email": email})
        assert asked.status_code == 302, "it is told to nobody"
    assert len(mail.outbox) == 5


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1:666"])
def test_links_in_mails_lead_to_the_panel_whatever_name_was_asked(user: User, host: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "localhost", "127.0.0.1"]
    for email in (user.email, "nobody@example.org"):
        Client(headers={"host": host}).post("/accounts/password/reset/", {"email": email})
    assert len(mail.outbox) == 2
    for sent in mail.outbox:
        assert host not in sent.body + sent.subject
        assert all(link.startswith("http://testserver/") for link in re.findall(r"https?://\S+", sent.body))


# tokens -------------------------------------------------------------------------------------------


def test_bad_tokens_without_end_hold_up_no_good_one(user: User) -> None:
    bad = Client(headers={"Authorization": "Bearer wdh_x"}, REMOTE_ADDR="198.51.100.1")
    assert {bad.get("/api/v1/environments").status_code for _ in range(guesses.TOKENS.most)} == {401}
    assert bad.get("/api/v1/environments").status_code == 429
    elsewhere = Client(headers={"Authorization": "Bearer wdh_x"}, REMOTE_ADDR="198.51.100.2")
    assert elsewhere.get("/api/v1/environments").status_code == 401
    good = Client(REMOTE_ADDR="198.51.100.1")
    good.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    assert good.get("/api/v1/environments").status_code == 200
