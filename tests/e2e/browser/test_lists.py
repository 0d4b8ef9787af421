"""The list, operations, the palette and the keyboard; and what happens while the socket is away."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import Opens
from tests.e2e.browser.eyes import axe_findings
from tests.e2e.support import Installation


def test_filters_are_in_the_address_and_come_back_with_it(page: Page, quiet: str) -> None:
    page.goto("/environments/")
    page.get_by_label("Filter by name, address or image").fill("quie")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=quie"))
    page.get_by_label("State").select_option("stopped")
    expect(page.get_by_text("Nothing matches the filter")).to_be_visible()
    page.reload()
    expect(page.get_by_label("State")).to_have_value("stopped")
    page.get_by_role("link", name="Clear the filter").click()
    expect(page.get_by_role("link", name="quiet", exact=True)).to_be_visible()
    page.get_by_role("link", name="Memory").click()
    expect(page).to_have_url(re.compile(r"sort=memory"))


@pytest.mark.parametrize("width", [360, 768, 1024, 1200, 1280, 1440])
def test_every_row_has_room_for_its_buttons_and_the_list_for_its_order(
    page: Page, quiet: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/environments/")
    expect(page.get_by_role("link", name="Console of quiet")).to_be_visible()
    wide = (
        "document.querySelector('.table-list').scrollWidth - document.querySelector('.table-list').clientWidth"
    )
    assert page.evaluate(wide) == 0
    page.get_by_label("Choose all on this page").check()
    expect(page.locator("[data-bulk]")).to_be_visible()
    page.get_by_role("link", name="Memory").click()
    expect(page).to_have_url(re.compile(r"sort=memory"))


def test_the_longest_name_and_tag_leave_every_column_in_sight(page: Page, wadah: Installation) -> None:
    made = wadah.create("a" * 63, tags=["x" * 32])
    try:
        page.goto("/environments/?q=" + "a" * 63)
        expect(page.get_by_role("link", name="a" * 63, exact=True)).to_be_visible()
        beyond = "one => one.scrollWidth - one.clientWidth"
        for width in (360, 768, 1024, 1200, 1280, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.locator(".table-list").evaluate(beyond) == 0, width
    finally:
        wadah.delete(made)


@pytest.mark.parametrize("width", [360, 768, 1200, 1440])
def test_the_bars_of_a_row_stand_on_one_line(page: Page, quiet: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/environments/?q=quiet")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="quiet", exact=True))
    bars = row.locator(".bar")
    expect(bars).to_have_count(3)
    # figures that take two lines where there is little room
    row.locator("[data-now]").nth(1).evaluate("one => { one.textContent = '1023.9\u00a0MiB' }")
    tops = [box["y"] for one in bars.all() if (box := one.bounding_box())]
    assert len(tops) == 3 and max(tops) - min(tops) < 1, tops
    below = row.locator(".spark").bounding_box() if width >= 1200 else None
    whole = row.bounding_box()
    assert whole is not None
    assert below is None or below["y"] + below["height"] <= whole["y"] + whole["height"], "the curve is inside"


def test_many_are_stopped_started_and_deleted_at_once(page: Page, wadah: Installation) -> None:
    for number in (1, 2):
        wadah.create(f"many-{number}")
    page.goto("/environments/?q=many-")
    page.get_by_label("Choose all on this page").check()
    bulk = page.locator("[data-bulk]")
    expect(bulk).to_contain_text("2")
    bulk.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.locator("tbody .state.off")).to_have_count(2)
    page.get_by_label("Choose all on this page").check()
    bulk.get_by_text("Delete…").click()
    bulk.get_by_label("Type how many are chosen").fill("3")
    bulk.get_by_role("button", name="Delete the chosen").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was deleted")
    page.get_by_label("Choose all on this page").check()
    bulk.get_by_text("Delete…").click()
    bulk.get_by_label("Type how many are chosen").fill("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing matches the filter")).to_be_visible()


def test_what_happens_elsewhere_shows_without_a_reload(
    page: Page, wadah: Installation, environment: str
) -> None:
    page.goto("/environments/")
    state = page.locator(f"#row-{environment} .state")
    expect(state).to_have_text("running")
    wadah.call("POST", f"/environments/{environment}/pause", {})
    expect(state).to_have_text("paused")
    wadah.call("POST", f"/environments/{environment}/resume", {})
    expect(state).to_have_text("running")


def test_a_lost_socket_is_said_and_what_was_missed_is_shown_after(
    page: Page, wadah: Installation, environment: str
) -> None:
    page.add_init_script(
        "const Real = WebSocket; window.WebSocket = class extends Real {"
        " constructor(url) { super(window.blocked ? url.replace('/ws/', '/nowhere/') : url);"
        " (window.sockets ||= []).push(this) } }"
    )
    page.goto("/environments/")
    state = page.locator(f"#row-{environment} .state")
    expect(state).to_have_text("running")
    page.wait_for_function("() => window.sockets?.some((one) => one.readyState === 1)")
    page.evaluate("() => { window.blocked = true; window.sockets.forEach((one) => one.close()) }")
    expect(page.locator("#connection")).to_contain_text("Reconnecting")
    wadah.call("POST", f"/environments/{environment}/pause", {})
    wadah.wait_state(environment, "paused")
    expect(state).to_have_text("running")
    page.evaluate("() => { window.blocked = false }")
    expect(page.locator("#connection")).to_be_hidden()
    expect(state).to_have_text("paused")


def test_the_palette_finds_and_acts_by_keyboard_alone(page: Page, quiet: str) -> None:
    page.goto("/operations/")
    page.keyboard.press("Control+k")
    page.keyboard.type("console quiet")
    expect(page.get_by_role("dialog").get_by_role("option").first).to_have_text(re.compile("Console quiet"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/environments/{quiet}/console"))


def test_everything_of_a_page_is_reached_by_tab_and_seen(page: Page, quiet: str) -> None:
    page.goto(f"/environments/{quiet}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, width = page.evaluate(
            "() => { const one = document.activeElement; const style = getComputedStyle(one);"
            " return [(one.innerText || one.getAttribute('aria-label') || one.tagName).trim(),"
            " parseFloat(style.outlineWidth)] }"
        )
        assert name == "BODY" or width >= 1, f"no sign of the focus on {name}"
        seen.append(name)
    for wanted in ("Restart", "Stop", "Console", "Settings"):
        assert wanted in seen, seen


def test_an_operation_that_takes_long_is_stopped_from_its_page(
    page: Page, wadah: Installation, environment: str
) -> None:
    wadah.call("PATCH", f"/environments/{environment}", {"stop_timeout_s": 120})
    wadah.wait_state(environment, "running")
    wadah.sh(environment, "sed -i 's|^::shutdown:.*|::shutdown:/bin/sleep 600|' /etc/inittab; kill -HUP 1")
    asked = wadah.call("POST", f"/environments/{environment}/stop", {}).body["operation"]["id"]
    page.goto("/operations/")
    page.get_by_role("link", name=re.compile("^Stop t-")).first.click()
    expect(page).to_have_url(re.compile(asked))
    expect(page.locator(".one-step.running")).to_have_count(1)
    page.get_by_role("button", name="Stop it").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    page.wait_for_load_state("load")
    page.goto(f"/operations/{asked}/")
    expect(page.locator("#operation-page .state").first).to_have_text("cancelled")
    wadah.wait_state(environment, "running")


@pytest.mark.parametrize("path", ["/nowhere/", "/environments/00000000-0000-0000-0000-000000000000/"])
def test_what_is_not_there_says_so_within_the_frame(opens: Opens, path: str) -> None:
    page = opens()
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_the_keys_say_what_they_do(page: Page, quiet: str) -> None:
    page.goto("/environments/")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("?")
    expect(keys).to_contain_text("Create an environment")
    assert not axe_findings(page)
    page.keyboard.press("Enter")
    expect(keys).to_be_hidden()
    page.get_by_label("Filter by name, address or image").press("?")
    expect(keys).to_be_hidden()
    page.get_by_label("Your menu").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(keys).to_be_visible()
    # A browser that is behind with drawing: the closed dialog still has the focus when the next key comes.
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 20})
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page).to_have_url(re.compile("/operations/$"))
