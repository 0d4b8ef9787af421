"""Coming in and going out."""

from playwright.sync_api import expect

from tests.e2e.browser.conftest import Opens, sign_in
from tests.e2e.support import Installation


def test_a_wrong_password_is_said_in_the_page_and_the_name_is_kept(opens: Opens) -> None:
    page = opens(signed_in=False)
    page.goto("/accounts/login/")
    page.fill("input[name=login]", "somebody")
    page.fill("input[name=password]", "not-the-password")
    page.press("input[name=password]", "Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("input[name=login]")).to_have_value("somebody")


def test_a_page_asked_for_comes_after_signing_in(opens: Opens, wadah: Installation) -> None:
    page = opens(signed_in=False)
    page.goto("/operations/")
    expect(page).to_have_url(f"{wadah.url}/accounts/login/?next=/operations/")
    page.fill("input[name=login]", wadah.username)
    page.fill("input[name=password]", wadah.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Operations", level=1)).to_be_visible()


def test_signing_out_ends_the_session_everywhere(opens: Opens, wadah: Installation) -> None:
    page = opens(signed_in=False)
    sign_in(page, wadah.username, wadah.password)
    other = page.context.new_page()
    other.goto("/environments/")
    page.get_by_label("Your menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")
    other.goto("/operations/")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
