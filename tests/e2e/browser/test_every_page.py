"""Every page: nothing sideways on a phone, nothing that axe calls serious, light and dark."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.browser.conftest import PATIENCE_MS, Chromium, confirm_password
from tests.e2e.browser.eyes import listen_for_complaints, look
from tests.e2e.browser.walk import OUTSIDE, PAGES
from tests.e2e.support import Installation

_ASKS_AGAIN = ("mfa_activate", "account_email")


@pytest.fixture(scope="module")
def ids(wadah: Installation) -> dict[str, str]:
    """Of the first of everything."""

    def first(path: str) -> dict[str, Any]:
        return wadah.call("GET", path).body["items"][0]  # type: ignore[no-any-return]

    hello = first("/environments?name=hello")
    found = {"environment": hello["id"], "tenant": hello["tenant"]}
    for one in ("node", "operation", "plan", "image"):
        rows = wadah.call("GET", f"/{one}s").body["items"]
        if rows:
            found[one] = rows[0]["id"]
    made = wadah.call("POST", "/domains", {"name": "walked.example.org", "environment": hello["id"]})
    found["domain"] = made.body["id"]
    volume = {"name": "walked", "tenant": hello["tenant"], "node": hello["node"], "size_mb": 16}
    found["volume"] = wadah.call("POST", "/volumes", volume).body["id"]
    return found


@pytest.fixture(scope="module")
def window(browser: Chromium, wadah: Installation, signed_in: Any) -> Iterator[Page]:
    """One for the whole walk."""
    context = browser.new_context(base_url=wadah.url, storage_state=signed_in)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    browser.close(context)


@pytest.fixture(scope="module")
def outside(browser: Chromium, wadah: Installation) -> Iterator[Page]:
    context = browser.new_context(base_url=wadah.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    browser.close(context)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page(window: Page, ids: dict[str, str], name: str, wadah: Installation) -> None:
    path = PAGES[name].format_map(ids)
    if name.startswith(_ASKS_AGAIN):  # by now the walk may take longer than a password is believed
        confirm_password(window, wadah.password)
    _examine(window, name, path)


@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_page_outside(outside: Page, name: str) -> None:
    _examine(outside, name, OUTSIDE[name])


def _examine(page: Page, name: str, path: str) -> None:
    complaints = listen_for_complaints(page)
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200, f"{path}: {answer.status}"
    assert page.url.endswith(path), f"{path} led to {page.url}"
    page.wait_for_load_state("load")
    wrong = look(page, name)
    assert not wrong, "\n".join(wrong)
    assert not complaints, complaints
