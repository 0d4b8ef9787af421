"""Consoles outlive the tab; what is pasted arrives whole; two people see the same."""

import hashlib
import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.conftest import SMALL, Opens
from tests.e2e.browser.terminal import READ_ALOUD, Screen
from tests.e2e.support import Installation

#: Opened before the environment boots, the console goes on when it does.
_SHELLS = "/environments/{}/console"


@pytest.fixture(autouse=True)
def no_shells(wadah: Installation, quiet: str) -> None:
    """Of the test before."""
    for one in wadah.call("GET", f"/environments/{quiet}/terminals").body["items"]:
        wadah.call("DELETE", f"/environments/{quiet}/terminals/{one['name']}")


def _shell(opens: Opens, environment: str) -> Screen:
    """A window with the root shell `t1` beside the console, which it begins when nobody has."""
    page = opens(viewport=SMALL)
    page.add_init_script(READ_ALOUD)
    with page.expect_response(re.compile(r"/terminals$")):
        page.goto(_SHELLS.format(environment))
    tab = page.get_by_role("tab", name="Shell t1")
    page.wait_for_timeout(50)
    (tab if tab.count() else page.get_by_role("button", name="New root shell")).click()
    screen = Screen(page, "t1")
    screen.is_connected()
    screen.shows("#")
    return screen


def test_a_paste_of_200_lines_arrives_whole_after_a_question(
    opens: Opens, wadah: Installation, quiet: str
) -> None:
    screen = _shell(opens, quiet)
    text = "".join(f"line {number:03} {'x' * 60}\n" for number in range(200))
    screen.run("cat > /root/pasted; sha256sum /root/pasted; rm /root/pasted")
    screen.paste(text)
    dialog = screen.page.get_by_role("dialog")
    expect(dialog).to_contain_text("200")
    dialog.get_by_role("button", name="Paste", exact=True).click()
    screen.shows("line 199")
    screen.page.keyboard.press("Control+D")
    screen.shows(hashlib.sha256(text.encode()).hexdigest())


def test_a_reload_keeps_the_shell_its_command_and_its_scrollback(opens: Opens, quiet: str) -> None:
    screen = _shell(opens, quiet)
    screen.run("mine=$$; echo shell-$mine; for i in 1 2 3 4 5 6 7 8 9; do echo tick-$i; sleep 0.3; done")
    screen.shows("tick-2")
    before = re.search(r"shell-(\d+)", screen.text())
    assert before is not None
    screen.page.reload()
    expect(screen.page.get_by_role("tab", name="Shell t1")).to_have_attribute("aria-selected", "true")
    screen.is_connected()
    screen.shows("tick-1")
    screen.shows("tick-9")
    assert len(re.findall(r"tick-5", screen.text())) == 1
    screen.run("clear; echo again-$mine")
    screen.shows(f"again-{before[1]}")


def test_a_phone_goes_on_with_the_shell_of_a_laptop(opens: Opens, quiet: str) -> None:
    laptop = _shell(opens, quiet)
    laptop.run("clear; left=open; echo begun-here")
    laptop.shows("begun-here")
    laptop.page.close()
    phone = opens(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    phone.add_init_script(READ_ALOUD)
    phone.goto(_SHELLS.format(quiet))
    phone.get_by_role("tab", name="Shell t1").click()
    screen = Screen(phone, "t1")
    screen.shows("begun-here")
    screen.run("clear; echo still-$left; sleep 60")
    screen.shows("still-open")
    screen.place.get_by_role("button", name="Ctrl", exact=True).click()
    screen.type("c")
    screen.run("echo interrupted")
    screen.shows("interrupted")


def test_a_shell_is_ended_from_its_tab_after_a_question(opens: Opens, wadah: Installation, quiet: str) -> None:
    screen = _shell(opens, quiet)
    screen.page.get_by_role("button", name="End the shell: Shell t1").click()
    screen.page.get_by_role("dialog").get_by_role("button", name="End the shell").click()
    expect(screen.page.get_by_role("tab", name="Shell t1")).to_have_count(0)
    listed = f"/environments/{quiet}/terminals"
    wadah.wait(lambda: wadah.call("GET", listed).body["count"] == 0, 30)


def test_two_people_see_the_same_and_are_told_of_each_other(opens: Opens, quiet: str) -> None:
    first, second = _shell(opens, quiet), _shell(opens, quiet)
    first.run("clear; echo typed-by-one")
    second.shows("typed-by-one")
    second.run("echo typed-by-two")
    first.shows("typed-by-two")
    expect(first.place.locator(".terminal-viewers")).to_contain_text("2")
    second.page.close()
    expect(first.place.locator(".terminal-viewers")).to_have_text("")


def test_the_shell_has_the_size_of_the_window(opens: Opens, quiet: str) -> None:
    screen = _shell(opens, quiet)
    screen.run("clear; stty size")
    expect(screen.rows).to_contain_text(re.compile(r"\d+ \d+"))
    wide = re.search(r"(\d+) (\d+)\s", screen.text())
    screen.page.set_viewport_size({"width": 600, "height": 400})
    screen.page.wait_for_timeout(300)
    screen.run("clear; stty size")
    assert wide is not None

    def narrower() -> bool:
        seen = re.findall(r"^(\d+) (\d+)\s*$", screen.text(), re.MULTILINE)
        return bool(seen) and int(seen[-1][1]) < int(wide[2]) and int(seen[-1][0]) < int(wide[1])

    Installation.wait(narrower, 30, screen.text)


def test_the_console_opens_before_boot_and_stays_over_a_restart(
    opens: Opens, wadah: Installation, environment: str
) -> None:
    wadah.call("POST", f"/environments/{environment}/stop", {})
    wadah.wait_state(environment, "stopped")
    page = opens()
    page.add_init_script(READ_ALOUD)
    page.goto(_SHELLS.format(environment))
    screen = Screen(page)
    expect(screen.place).to_contain_text("does not run")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#ve-head")).to_contain_text("running")
    screen = Screen(page)
    screen.shows("root@")
    wadah.call("POST", f"/environments/{environment}/restart", {})
    expect(screen.rows).to_contain_text(re.compile(r"(Enter 'help'[\s\S]*){3}root@"))


def test_control_c_on_the_console_ends_a_command_and_nothing_else(
    opens: Opens, wadah: Installation, environment: str
) -> None:
    page = opens(viewport=SMALL)
    page.add_init_script(READ_ALOUD)
    page.goto(_SHELLS.format(environment))
    screen = Screen(page)
    screen.shows("root@")
    screen.run("sh -c 'echo begun-$((1 + 1)); exec sleep 600'")
    screen.shows("begun-2")
    page.keyboard.press("Control+C")
    screen.run("echo back-again")
    expect(screen.rows).to_contain_text(re.compile(r"echo back-again\s*back-again"))
    assert wadah.get(environment)["restarts"] == 0


def test_search_finds_what_was_printed(opens: Opens, quiet: str) -> None:
    screen = _shell(opens, quiet)
    screen.run("clear; echo needle-in-hay; seq 1 200")
    screen.shows("200")
    screen.page.keyboard.press("Control+Shift+F")
    screen.page.keyboard.type("needle-in")
    screen.shows("needle-in-hay")
    screen.page.keyboard.press("Escape")
