"""The pictures of docs/: each shows a page that is there, and `WADAH_PICTURES=1` takes them anew."""

import os
import uuid

from playwright.sync_api import Page, expect

from runtime.install.layout import CHECKOUT
from tests.e2e.support import Installation

_PLACE = CHECKOUT / "docs" / "img"
_MOST_BYTES = 600_000


def _picture(page: Page, name: str) -> None:
    if os.environ.get("WADAH_PICTURES"):
        page.wait_for_timeout(300)  # fonts and bars settle
        page.screenshot(path=_PLACE / f"{name}.png")
    assert (_PLACE / f"{name}.png").exists(), f"docs/img/{name}.png: take it with WADAH_PICTURES=1"


def test_the_pages_of_the_three_days_look_as_their_pictures_say(page: Page, wadah: Installation) -> None:
    terms = {"limits": {"cpu": 0.5, "memory_mb": 64, "disk_mb": 64}}
    larger = {"limits": {"cpu": 1, "memory_mb": 128, "disk_mb": 128}}
    word = uuid.uuid4().hex[:8]
    plans = [
        wadah.call(
            "POST", "/plans", {"name": name, "slug": f"{name.lower()}-{word}", "position": 9000, **given}
        )
        for name, given in (("Start", terms), ("Grow", larger))
    ]
    made = wadah.create("pictured", plan=f"start-{word}", limits=None)
    try:
        page.set_viewport_size({"width": 1100, "height": 720})
        page.goto("/environments/create")
        expect(page.get_by_role("heading", name="Image")).to_be_visible()
        _picture(page, "create")
        page.goto(f"/environments/{made}/settings?plan=grow-{word}")
        expect(page.get_by_role("heading", name="Start → Grow")).to_be_visible()
        expect(page.get_by_role("button", name="Change to Grow")).to_be_visible()
        _picture(page, "plan")
        page.goto("/capacity/")
        expect(page.get_by_role("heading", name="Capacity", exact=True)).to_be_visible()
        _picture(page, "capacity")
    finally:
        wadah.delete(made)
        for plan in plans:
            wadah.call("DELETE", f"/plans/{plan.body['id']}")


def test_the_pictures_are_small() -> None:
    assert sum(one.stat().st_size for one in _PLACE.iterdir()) < _MOST_BYTES
