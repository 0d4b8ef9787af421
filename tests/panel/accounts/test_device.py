"""The list of sessions names browsers in words, and keeps what they say of themselves in reach."""

import pytest
from django.test import Client

from panel.accounts.device import device
from tests.panel.support import factories

_LIKE = "(KHTML, like Gecko)"
CHROME = f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 {_LIKE} HeadlessChrome/131.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (CHROME, "Chromium on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Windows"),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 {_LIKE} "
            "Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 {_LIKE} Chrome/131 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 {_LIKE} Chrome/131 Safari/537.36 Edg/131",
            "Edge on Windows",
        ),
        ("curl/8.9.1", "curl"),
        ("", "An unknown browser"),
    ],
)
def test_a_browser_in_words(agent: str, words: str) -> None:
    assert device(agent) == words


@pytest.mark.django_db
def test_the_page_says_it_and_keeps_the_field_itself() -> None:
    client = Client(headers={"User-Agent": CHROME})
    user = factories.person(username="seen", password=factories.PASSWORD)
    client.post("/accounts/login/", {"login": user.username, "password": factories.PASSWORD})
    page = client.get("/accounts/sessions/").content.decode()
    assert f'title="{CHROME}">Chromium on Linux' in page
    assert "this one" in page
