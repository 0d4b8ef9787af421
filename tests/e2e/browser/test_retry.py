"""An operation that really failed says why, and is tried again from its own page."""

from playwright.sync_api import Page, expect

from tests.e2e.support import Installation

_MIB = 2**20


def _used(wadah: Installation, environment: str) -> int:
    usage = wadah.get(environment)["usage"]
    return int(usage["disk_bytes"]) if usage else 0


def _refused_by_the_node(wadah: Installation, environment: str) -> str:
    """A disk smaller than what was just written: the panel hasn't heard of it yet, the node looks. Its id."""
    for _ in range(5):
        wadah.sh(environment, "dd if=/dev/zero of=/root/fill bs=1M count=40 conv=fsync 2>/dev/null")
        answer = wadah.call("PATCH", f"/environments/{environment}", {"limits": {"disk_mb": 20}})
        if answer.status == 202:
            return str(answer.body["operation"]["id"])
        wadah.sh(environment, "rm /root/fill; sync")  # a report came in between
        wadah.wait(lambda: _used(wadah, environment) < 20 * _MIB, 60)
    raise AssertionError("the panel always knew first")


def test_a_failed_operation_is_tried_again_from_its_page(
    page: Page, wadah: Installation, environment: str
) -> None:
    operation = _refused_by_the_node(wadah, environment)
    page.goto(f"/operations/{operation}/")
    whole = page.locator("#operation-page")
    expect(whole.locator(".state").first).to_have_text("failed")
    expect(whole).to_contain_text("20 MiB is below the")
    assert wadah.get(environment)["limits"]["disk_mb"] == 128

    wadah.wait(lambda: _used(wadah, environment) >= 40 * _MIB, 60)
    whole.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("20 MiB of disk is below the")
    expect(page).to_have_url(f"{wadah.url}/operations/{operation}/")

    wadah.sh(environment, "rm /root/fill; sync")
    wadah.wait(lambda: _used(wadah, environment) < 20 * _MIB, 60)
    whole.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="the first attempt")).to_be_visible()
    expect(whole.locator(".state").first).to_have_text("succeeded")
    assert wadah.get(environment)["limits"]["disk_mb"] == 20
