"""The dial of a stopped environment, turned by hand: to a guarded kernel, to its own, and back."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.support import Installation

_WORDS = {"shared": "nothing costs anything", "guarded": "gVisor answers", "own": "A Linux of its own"}
_SMALL, _LARGE = {"cpu": 1, "memory_mb": 112, "disk_mb": 128}, {"cpu": 1, "memory_mb": 320, "disk_mb": 256}


def _offered(wadah: Installation, kernel: str) -> None:
    """Skips with the node's reason where it has no such kernel."""
    [node] = wadah.call("GET", "/nodes").body["items"]
    cells = wadah.call("GET", f"/nodes/{node['id']}/matrix").body["items"]
    why = next(one["why_not"] for one in cells if (one["kind"], one["kernel"]) == ("system", kernel))
    if why:
        pytest.skip(f"this machine has no kernel {kernel}: {why}")


@pytest.fixture
def sized(wadah: Installation) -> Iterator[str]:
    """Running, with memory enough for every kernel."""
    made = wadah.create(limits=_LARGE)
    yield made
    wadah.delete(made)


def choice(page: Page, kernel: str) -> Locator:
    return page.locator("#kernel label.choice").filter(has_text=_WORDS[kernel])


def _stop(page: Page, wadah: Installation, environment: str) -> None:
    wadah.call("POST", f"/environments/{environment}/stop", {"timeout_s": 0})
    wadah.wait_state(environment, "stopped")
    page.goto(f"/environments/{environment}/settings")


def _turn(page: Page, kernel: str) -> None:
    choice(page, kernel).get_by_role("radio").check()
    page.locator("#kernel").get_by_role("button", name="Turn the dial").click()
    expect(page.get_by_text("Kernel of its next start saved")).to_be_visible()
    expect(choice(page, kernel).get_by_role("radio")).to_be_checked()
    expect(choice(page, kernel).get_by_text("now", exact=True)).to_be_visible()


def _start(page: Page, wadah: Installation, environment: str) -> str:
    """By the page; what the kernel says of itself inside."""
    head = page.locator("#ve-head")
    head.get_by_role("button", name="Start").click()
    expect(head.locator(".state")).to_have_text("running")
    wadah.wait_state(environment, "running")
    return wadah.sh(environment, "uname -r; cat /proc/version; cat /etc/kept 2>/dev/null || true")


def test_it_stands_still_while_it_runs(page: Page, wadah: Installation, environment: str) -> None:
    page.goto(f"/environments/{environment}/settings")
    dial = page.locator("#kernel")
    expect(dial.get_by_text("Changed while it is stopped: stop it first.")).to_be_visible()
    expect(dial.get_by_role("button", name="Turn the dial")).to_have_count(0)
    for kernel in _WORDS:
        expect(choice(page, kernel).get_by_role("radio")).to_be_disabled()


def test_it_turns_to_guarded_to_its_own_and_back(page: Page, wadah: Installation, sized: str) -> None:
    for kernel in ("guarded", "own"):
        _offered(wadah, kernel)
    wadah.sh(sized, "echo kept over the turns > /etc/kept")
    of_the_host = wadah.sh(sized, "uname -r").strip()

    _stop(page, wadah, sized)
    expect(choice(page, "own").get_by_text(re.compile(r"Starts in \d+ ms on this node"))).to_be_visible()
    _turn(page, "guarded")
    told = _start(page, wadah, sized)
    assert of_the_host not in told and "kept over the turns" in told
    assert wadah.get(sized)["kernel"] == "guarded"

    _stop(page, wadah, sized)
    _turn(page, "own")
    told = _start(page, wadah, sized)
    assert of_the_host not in told and "kept over the turns" in told
    assert "Linux version" in told

    _stop(page, wadah, sized)
    _turn(page, "shared")
    told = _start(page, wadah, sized)
    assert told.startswith(of_the_host) and "kept over the turns" in told


def test_what_it_can_not_be_turned_to_says_why(page: Page, wadah: Installation) -> None:
    for kernel in ("guarded", "own"):
        _offered(wadah, kernel)
    small = wadah.create(limits=_SMALL)
    try:
        _stop(page, wadah, small)
        for kernel, least in (("own", "192 MiB"), ("guarded", "128 MiB")):
            expect(choice(page, kernel).get_by_role("radio")).to_be_disabled()
            expect(choice(page, kernel).locator(".why")).to_contain_text(least)
        # the price of a refused choice is none that can be paid, but by a larger size
        wadah.call("PATCH", f"/environments/{small}", {"limits": {"memory_mb": 320}})
        page.goto(f"/environments/{small}/settings")
        expect(choice(page, "own").get_by_role("radio")).to_be_enabled()
        expect(choice(page, "own").locator(".why")).to_have_count(0)
        # a page that was opened before it was started: the answer is a sentence, and nothing is turned
        choice(page, "own").get_by_role("radio").check()
        wadah.call("POST", f"/environments/{small}/start", {})
        wadah.wait_state(small, "running")
        page.locator("#kernel").get_by_role("button", name="Turn the dial").click()
        expect(page.get_by_text("The kernel of an environment is changed while it is stopped.")).to_be_visible()
        assert wadah.get(small)["kernel"] == "shared"
    finally:
        wadah.delete(small)
