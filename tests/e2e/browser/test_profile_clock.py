"""Times that scripts write are the profile's, in a browser that lives elsewhere."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import Opens
from tests.e2e.support import Installation

_ZONE = "Asia/Tokyo"


def _save(page: Page, zone: str) -> None:
    page.goto("/profile/")
    page.get_by_label("Time zone").select_option(zone)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Profile saved")).to_be_visible()


@pytest.fixture
def away(opens: Opens) -> Iterator[Page]:
    """A window in Germany's language and New York's time, of somebody whose profile is in Tokyo."""
    page = opens(timezone_id="America/New_York", locale="de-DE")
    _save(page, _ZONE)
    yield page
    _save(page, "UTC")


def test_lists_and_graphs_have_the_profiles_clock(away: Page, wadah: Installation, quiet: str) -> None:
    expect(away.locator("html")).to_have_attribute("data-zone", _ZONE)
    wadah.sh(quiet, "TZ=UTC touch -d '2026-01-31 20:00:05' /root/clock")
    try:
        away.goto(f"/environments/{quiet}/files")
        away.get_by_role("button", name="root", exact=True).click()
        line = away.get_by_role("row", name="clock")
        expect(line).to_contain_text(re.compile(r"2/1/2026, 5:00:05\sAM"))
    finally:
        wadah.sh(quiet, "rm /root/clock")
    away.goto(f"/environments/{quiet}")
    expect(away.locator("time[data-ago]").first).to_have_attribute("title", re.compile(" JST$"))
    away.locator("[data-graph] .u-over").first.hover()
    legend = away.locator("[data-graph] .u-legend .u-value").first
    expect(legend).to_have_text(re.compile(r"^\d\d:\d\d(:\d\d)?$"))
    now = datetime.now(ZoneInfo(_ZONE)).replace(tzinfo=None)
    told = datetime.combine(now.date(), datetime.strptime(legend.inner_text()[:5], "%H:%M").time())
    assert (now - told) % timedelta(days=1) < timedelta(minutes=70)
