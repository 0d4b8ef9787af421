"""The page of a log: lines as they come, which of them, and what stays when it is stopped."""

from playwright.sync_api import Page, expect

from tests.e2e.browser.eyes import look
from tests.e2e.support import Installation


def _says(wadah: Installation, environment: str, *lines: str) -> None:
    for line in lines:
        wadah.sh(environment, f"echo '{line}' > /dev/console")


def test_followed_searched_and_stopped(page: Page, wadah: Installation, quiet: str) -> None:
    page.goto(f"/environments/{quiet}/log?tail=100")
    lines = page.get_by_role("log")
    _says(wadah, quiet, "<b>first</b> word", "second word")
    expect(lines).to_contain_text("<b>first</b> word")
    expect(lines.locator("time").first).to_be_visible()
    page.get_by_label("with times").uncheck()
    expect(lines.locator("time").first).to_be_hidden()
    assert look(page, "log") == []

    page.get_by_role("button", name="Stop following").click()
    _says(wadah, quiet, "while nobody looks")
    page.get_by_role("button", name="Follow").click()
    expect(lines.get_by_text("while nobody looks")).to_have_count(1)
    expect(lines.get_by_text("second word")).to_have_count(1)

    page.get_by_label("Words in a line").fill("second")
    page.get_by_role("button", name="Show").click()
    expect(lines.get_by_text("second word")).to_have_count(1)
    expect(lines.get_by_text("first")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    saved = download.value.path().read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in saved] == ["second word"]


def test_a_bad_moment_is_told(page: Page, quiet: str) -> None:
    page.goto(f"/environments/{quiet}/log?since=yesterday")
    expect(page.locator("[data-said]")).to_contain_text("since")
