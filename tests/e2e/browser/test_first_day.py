"""A customer's first day: an environment by its name alone, its console while it boots, and work in it."""

import re

from playwright.sync_api import expect

from tests.e2e.browser.conftest import Opens, visit
from tests.e2e.browser.eyes import shoot
from tests.e2e.browser.terminal import BOOT_MS, READ_ALOUD, Screen
from tests.e2e.support import Installation


def test_name_and_create_suffice_and_it_is_a_vps(opens: Opens, wadah: Installation) -> None:
    page = opens()
    page.add_init_script(READ_ALOUD)
    page.goto("/environments/create?tenant=demo")
    page.get_by_label("Name").fill("first-day")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/$"))
    made = page.url.rstrip("/").rpartition("/")[2]
    try:
        password = page.locator("#root-password").inner_text()
        visit(page, f"/environments/{made}/console")
        screen = Screen(page)
        screen.log_in("root", password)
        screen.shows("root@first-day:~#")
        shoot(page, "first-day-console", full=False)

        screen.run("useradd -m ani && id -un ani; systemctl is-system-running --wait; nproc; apt-get --version")
        screen.shows("apt 2.", within_ms=BOOT_MS)  # once all of its units are up
        assert {"ani", "running"} <= {row.strip() for row in screen.text().splitlines()}, screen.text()
        screen.run("clear; systemctl restart cron && systemctl is-active cron; free -m | grep Mem")
        screen.shows("active")
        memory = wadah.get(made)["limits"]["memory_mb"]
        screen.shows(str(memory))

        screen.run("clear; echo kept > /root/note; reboot")
        screen.shows("first-day login:", within_ms=BOOT_MS)
        screen.log_in("root", password)
        screen.run("clear; cat /root/note")
        screen.shows("kept")
        expect(page.locator("#ve-head")).to_contain_text("running")
    finally:
        wadah.delete(made)


def test_steps_are_watched_as_they_happen(opens: Opens, wadah: Installation) -> None:
    page = opens()
    page.goto("/environments/create?tenant=demo")
    page.get_by_label("Name").fill("watched")
    page.get_by_text("busybox", exact=True).click()
    page.get_by_role("button", name="Create").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/$"))
    made = page.url.rstrip("/").rpartition("/")[2]
    try:
        expect(page.locator("#ve-head")).to_contain_text("running")
        page.get_by_role("link", name="Activity").click()
        page.get_by_role("link", name="Create", exact=True).click()
        steps = page.locator(".one-step")
        expect(steps.filter(has_text="root volume").locator(".took")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
        expect(page.locator(".one-step.failed")).to_have_count(0)
    finally:
        wadah.delete(made)
