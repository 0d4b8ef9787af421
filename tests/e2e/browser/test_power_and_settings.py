"""What a person does to an environment from its page, and what stays when it is refused."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import Opens
from tests.e2e.support import Installation

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX me@example"


def _confirm(page: Page, verb: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=re.compile(verb)).click()


def test_power_from_the_header_without_a_reload(page: Page, environment: str) -> None:
    page.goto(f"/environments/{environment}/")
    head = page.locator("#ve-head")
    expect(head.locator(".state")).to_have_text("running")
    head.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    _confirm(page, "Stop")
    expect(head.locator(".state")).to_have_text("stopped")
    head.get_by_role("button", name="Start").click()
    expect(head.locator(".state")).to_have_text("running")
    page.get_by_label("More power actions").click()
    head.get_by_role("button", name="Pause").click()
    expect(head.locator(".state")).to_have_text("paused")
    head.get_by_role("button", name="Resume").click()
    expect(head.locator(".state")).to_have_text("running")
    head.get_by_role("button", name="Restart").click()
    _confirm(page, "Restart")
    expect(head.locator(".tag.busy")).to_have_count(0)
    expect(head.locator(".state")).to_have_text("running")


def test_resize_live_and_a_refusal_beside_the_field_with_the_number(
    page: Page, wadah: Installation, environment: str
) -> None:
    # far below its memory, and only this file is waited for: the disk of a busy machine is slow
    wadah.sh(environment, "dd if=/dev/zero of=/root/fill bs=1M count=24 conv=fsync 2>/dev/null")
    page.goto(f"/environments/{environment}/settings")
    size = page.locator("#resize")
    size.get_by_label("Memory").fill("96")
    size.get_by_label("Disk").fill("256")
    expect(size.get_by_text("128 → 256")).to_be_visible()
    size.get_by_role("button", name="Resize").click()
    expect(page.get_by_text("New size asked for")).to_be_visible()
    assert wadah.wait_state(environment, "running")["limits"]["disk_mb"] == 256
    wadah.wait(lambda: _memory_kib(wadah, environment) == 96 * 1024, 30)

    # the panel says no by itself once it was told what is used; before, the node would
    wadah.wait(lambda: _disk_used(wadah, environment) >= 24 * 2**20, 60)
    size.get_by_label("Disk").fill("20")
    size.get_by_role("button", name="Resize").click()
    bad = page.locator("#resize [aria-invalid=true]")
    expect(bad).to_have_value("20")
    expect(bad).to_be_focused()
    expect(page.locator("#resize .field-error")).to_contain_text(re.compile(r"2\d MiB"))
    assert wadah.get(environment)["limits"]["disk_mb"] == 256


def _disk_used(wadah: Installation, environment: str) -> int:
    """By the newest report; a new one's first comes seconds after it runs."""
    usage = wadah.get(environment)["usage"]
    return int(usage["disk_bytes"]) if usage else 0


def _memory_kib(wadah: Installation, environment: str) -> int:
    """All that it sees."""
    return int(wadah.sh(environment, "grep MemTotal /proc/meminfo").split()[1])


def test_a_page_with_a_refusal_is_live_and_may_be_loaded_anew(
    page: Page, wadah: Installation, environment: str
) -> None:
    page.goto(f"/environments/{environment}/settings")
    page.locator("#general").get_by_label("Name").fill("Not A Name")
    page.locator("#general").get_by_role("button", name="Save").click()
    expect(page.locator("#general .field-error")).to_be_visible()
    wadah.call("POST", f"/environments/{environment}/stop", {"timeout_s": 0})
    expect(page.locator("#ve-head .state")).to_have_text("stopped")
    expect(page.locator("#general").get_by_label("Name")).to_have_value("Not A Name")
    page.goto(page.url)
    expect(page).to_have_url(re.compile(r"/settings(#general)?$"))
    expect(page.locator("#general").get_by_label("Name")).not_to_have_value("Not A Name")


def test_keys_password_and_reinstall(page: Page, wadah: Installation, environment: str) -> None:
    page.goto(f"/environments/{environment}/settings")
    keys = page.locator("#keys")
    keys.get_by_label("SSH public keys of root").fill("not a key")
    keys.get_by_role("button", name="Replace keys").click()
    expect(page.locator("#keys .field-error")).to_contain_text("key")
    expect(keys.get_by_label("SSH public keys of root")).to_have_value("not a key")
    keys.get_by_label("SSH public keys of root").fill(_KEY)
    keys.get_by_role("button", name="Replace keys").click()
    expect(page.get_by_text("SSH keys replaced")).to_be_visible()
    wadah.wait_state(environment, "running")
    assert _KEY in wadah.sh(environment, "cat /root/.ssh/authorized_keys")

    page.locator("#password").get_by_role("button", name="Change password").click()
    secret = page.locator("#root-password")
    assert len(secret.inner_text()) >= 12
    page.get_by_role("button", name="Noted").click()
    expect(secret).to_have_count(0)

    wadah.wait_state(environment, "running")
    wadah.sh(environment, "echo mine > /root/note")
    page.goto(f"/environments/{environment}/settings")
    page.get_by_label("Keep the old files").check()
    page.get_by_role("button", name="Reinstall…").click()
    _confirm(page, "Reinstall")
    expect(page.get_by_text("Reinstall asked for")).to_be_visible()
    wadah.wait_state(environment, "running")
    assert wadah.sh(environment, "cat /old/root/note") == "mine"


def test_an_address_more_and_away_on_the_network_tab(page: Page, wadah: Installation, environment: str) -> None:
    page.goto(f"/environments/{environment}/network")
    panel = page.locator("#address")
    expect(panel.locator("tbody tr")).to_have_count(2)
    panel.get_by_role("button", name="Add an address").click()
    expect(panel.locator("tbody tr")).to_have_count(3)
    wadah.wait_state(environment, "running")
    first, second = [one for one in wadah.get(environment)["addresses"] if "." in one]
    inside = wadah.sh(environment, "ip -4 -o addr show dev eth0")
    assert first in inside and second in inside
    panel.get_by_role("button", name=f"Remove the address {first}").click()
    _confirm(page, "Remove")
    expect(panel.locator("tbody tr")).to_have_count(2)
    wadah.wait_state(environment, "running")
    assert first not in wadah.sh(environment, "ip -4 -o addr show dev eth0")
    assert second in wadah.sh(environment, "ip -4 route show default")


def test_forwards_and_name_servers_on_the_network_tab(
    page: Page, wadah: Installation, environment: str
) -> None:
    page.goto(f"/environments/{environment}/network")
    address = wadah.get(environment)["addresses"][0]
    expect(page.locator("#address")).to_contain_text(address)
    forward = page.locator("#forward")
    forward.get_by_label("Port inside").fill("99999")
    forward.get_by_role("button", name="Add").click()
    expect(forward.locator(".field-error")).to_contain_text("65535")
    expect(forward.get_by_label("Port inside")).to_have_value("99999")
    forward.get_by_label("Port inside").fill("80")
    forward.get_by_role("button", name="Add").click()
    expect(forward.locator("tbody tr")).to_have_count(1)
    forward.get_by_role("button", name="Remove").click()
    _confirm(page, "Remove")
    expect(forward.locator("tbody tr")).to_have_count(0)

    options = page.locator("#network")
    options.get_by_label("Name servers").fill("nowhere")
    options.get_by_role("button", name="Save").click()
    expect(options.locator(".field-error")).to_be_visible()
    options.get_by_label("Name servers").fill("9.9.9.9\n149.112.112.112")
    options.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Network options saved")).to_be_visible()
    wadah.wait_state(environment, "running")
    assert "149.112.112.112" in wadah.sh(environment, "cat /etc/resolv.conf")


def test_delete_asks_for_the_name(page: Page, wadah: Installation) -> None:
    made = wadah.create("goes-away")
    page.goto(f"/environments/{made}/settings")
    button = page.get_by_role("button", name="Delete goes-away")
    expect(button).to_be_disabled()
    page.get_by_label("Type goes-away to delete it").fill("goes-awa")
    expect(button).to_be_disabled()
    page.get_by_label("Type goes-away to delete it").fill("goes-away")
    button.click()
    expect(page.locator("#operation-page .state").first).to_have_text("succeeded")
    wadah.wait_gone(made)


def test_bad_input_of_create_is_beside_its_field_and_nothing_typed_is_lost(
    page: Page, wadah: Installation
) -> None:
    page.goto("/environments/create?tenant=demo")
    page.get_by_label("Name").fill("Not A Name")
    page.get_by_role("radiogroup", name="Image").get_by_text("busybox", exact=True).click()
    page.get_by_text("Own size", exact=True).click()
    page.get_by_label("Memory").fill("80")
    page.get_by_label("SSH public keys").fill(_KEY)
    page.get_by_role("button", name="Create").click()
    name = page.get_by_label("Name")
    expect(name).to_be_focused()
    expect(name).to_have_value("Not A Name")
    expect(page.locator("#id_name_error")).to_contain_text("lower-case")
    expect(page.get_by_label("Memory")).to_have_value("80")
    expect(page.get_by_label("SSH public keys")).to_have_value(_KEY)
    expect(page.locator("input[name=image]:checked")).to_have_value("busybox")
    expect(page.locator("#curl")).to_contain_text('"memory_mb": 80')
    assert wadah.call("GET", "/environments?search=Not").body["count"] == 0


def test_a_form_survives_a_session_that_ended(opens: Opens, wadah: Installation) -> None:
    from tests.e2e.browser.conftest import sign_in

    page = opens(signed_in=False)
    sign_in(page, wadah.username, wadah.password)
    page.goto("/environments/create?tenant=demo")
    page.get_by_label("Name").fill("long-typed")
    page.get_by_label("SSH public keys").fill(_KEY)
    page.context.clear_cookies()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.fill("input[name=login]", wadah.username)
    page.fill("input[name=password]", wadah.password)
    page.press("input[name=password]", "Enter")
    expect(page.get_by_label("Name")).to_have_value("long-typed")
    expect(page.get_by_label("SSH public keys")).to_have_value(_KEY)
