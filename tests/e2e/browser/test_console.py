"""Consoles outlive the tab; what is pasted arrives whole; two people see the same."""

import hashlib
import re

from playwright.sync_api import expect

from tests.e2e.browser.conftest import Opens
from tests.e2e.browser.terminal import READ_ALOUD, Screen
from tests.e2e.support import Installation

#: Opened before the environment boots, the console goes on when it does.
_SHELLS = "/environments/{}/console"


def _shell(opens: Opens, environment: str, **options: object) -> Screen:
    """A window with a root shell of its own beside the console."""
    page = opens(**options)
    page.add_init_script(READ_ALOUD)
    page.goto(_SHELLS.format(environment))
    page.get_by_role("button", name="New root shell").click()
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
    screen.page.get_by_role("tab", name="Shell t1").click()
    screen.is_connected()
    screen.shows("tick-1")
    screen.shows("tick-9")
    assert len(re.findall(r"tick-5", screen.text())) == 1
    screen.run("clear; echo again-$mine")
    screen.shows(f"again-{before[1]}")


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
    screen.page.set_viewport_size({"width": 900, "height": 600})
    screen.page.wait_for_timeout(300)
    screen.run("clear; stty size")
    assert wide is not None

    def narrower() -> bool:
        seen = re.findall(r"^(\d+) (\d+)\s*$", screen.text(), re.MULTILINE)
        return bool(seen) and int(seen[-1][1]) < int(wide[2]) and int(seen[-1][0]) < int(wide[1])

    Installation.wait(narrower, 30, lambda: screen.text())


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
    screen.shows("login:")
    wadah.call("POST", f"/environments/{environment}/restart", {})
    expect(screen.rows).to_contain_text(re.compile(r"login:[\s\S]*login:"))


def test_search_finds_what_was_printed(opens: Opens, quiet: str) -> None:
    screen = _shell(opens, quiet)
    screen.run("clear; echo needle-in-hay; seq 1 200")
    screen.shows("200")
    screen.page.keyboard.press("Control+Shift+F")
    screen.page.keyboard.type("needle-in")
    screen.shows("needle-in-hay")
    screen.page.keyboard.press("Escape")
