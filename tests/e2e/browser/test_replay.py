"""What a console printed is played again and downloaded."""

import json

from playwright.sync_api import Page, expect

from tests.e2e.support import Installation


def test_what_it_printed_is_shown_played_and_downloaded(
    page: Page, wadah: Installation, environment: str
) -> None:
    wadah.sh(environment, "echo begins > /dev/console; sleep 2; echo played-again > /dev/console")
    page.goto(f"/environments/{environment}/console")
    page.get_by_role("link", name="Replay and download").click()
    rows = page.locator("#replay-screen .xterm-rows")
    expect(rows).to_contain_text("played-again")
    expect(page.locator("[data-at]")).not_to_have_text("0:00 / 0:00")
    page.get_by_label("Where in the recording").fill("0")
    expect(rows).not_to_contain_text("played-again")
    page.get_by_label("Speed").select_option("16")
    page.get_by_role("button", name="Play").click()
    expect(rows).to_contain_text("played-again")
    expect(page.get_by_role("button", name="Play")).to_be_visible()

    with page.expect_download() as found:
        page.get_by_role("link", name=".cast").click()
    assert found.value.suggested_filename.endswith(".cast")
    lines = found.value.path().read_text().splitlines()
    assert json.loads(lines[0])["version"] == 2
    assert "played-again" in wadah.call("GET", f"/environments/{environment}/console/log").body.decode()
    refused = wadah.call("GET", f"/environments/{environment}/console/log?format=mp4")
    assert (refused.status, refused.body["detail"]) == (422, "format is text or cast.")
