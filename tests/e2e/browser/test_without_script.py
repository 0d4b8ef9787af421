"""Without JavaScript a tenant's tasks are done all the same: finding, ways in, settings, power."""

import uuid

from playwright.sync_api import expect

from tests.e2e.browser.conftest import Opens
from tests.e2e.support import Installation


def test_a_life_without_javascript(opens: Opens, wadah: Installation) -> None:
    page, name = opens(java_script_enabled=False), f"plain-{uuid.uuid4().hex[:8]}"
    made = wadah.create(name)
    try:
        page.goto("/environments/")
        page.get_by_label("Filter by name, address or image").fill(name)
        page.get_by_label("Filter by name, address or image").press("Enter")
        page.get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"**/environments/{made}/**")
        expect(page.locator(".graph").first).to_be_hidden()
        page.get_by_role("link", name="Root's ways in").click()
        expect(page.get_by_text("no SSH server is installed").first).to_be_visible()
        page.goto(f"/environments/{made}/settings")
        page.get_by_label("Description").fill("by hand")
        page.locator("form", has=page.get_by_label("Description")).locator("button").first.click()
        assert wadah.get(made)["description"] == "by hand"
        page.goto(f"/environments/{made}/")
        page.get_by_role("button", name="Stop", exact=True).click()
        wadah.wait_state(made, "stopped")
    finally:
        wadah.delete(made)
