"""Chromium beside the one installation of all end-to-end tests. Tests here are synchronous.

Playwright's loop lives in this thread as long as a test of this package runs, so nothing here may use asyncio.
"""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Playwright,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.e2e.browser.eyes import listen_for_complaints
from tests.e2e.support import Installation

#: Debian's, without windows on a screen; another by `WADAH_CHROMIUM`.
CHROMIUM = os.environ.get("WADAH_CHROMIUM", "/usr/bin/chromium-headless-shell")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: A loaded machine is slow, not wrong; what is so returns at once.
PATIENCE_MS = 60_000
_CLOSES_S = 30.0
expect.set_options(timeout=PATIENCE_MS)

Opens = Callable[..., Page]
#: For terminals: without a graphics card the processor draws them, at a price for each pixel.
SMALL: ViewportSize = {"width": 800, "height": 600}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each step has its patience. The signal that ends a whole test also breaks Playwright's loop, and fixtures
    then wait for that for ever: so this end is far."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))


class Chromium:
    """One for all tests. On a busy machine it may never answer when a window is to be closed, and nothing
    in Playwright bounds that: then it is killed, a warning says so, and the next window has a new one."""

    def __init__(self, playwright: Playwright):
        self._type = playwright.chromium
        self._running: Browser | None = None

    def new_context(self, **options: Any) -> BrowserContext:
        if self._running is None or not self._running.is_connected():
            self._running = self._type.launch(executable_path=CHROMIUM, args=_FLAGS, headless=True)
        return self._running.new_context(**options)

    def close(self, what: BrowserContext | None = None) -> None:
        """One window, or the browser."""
        if what or self._running:
            with _killed_after(_CLOSES_S), suppress(Error):
                (what or self._running).close()


@contextmanager
def _killed_after(seconds: float) -> Iterator[None]:
    killed: list[int] = []

    def kill() -> None:
        killed.extend(pid for pid in _descendants(os.getpid()) if _is_chromium(pid))
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if killed:
            warnings.warn(f"Chromium did not close within {seconds:g} s and was killed", stacklevel=2)


def _descendants(pid: int) -> Iterator[int]:
    """Pids of its children, and of theirs."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _is_chromium(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("chrom")
    return False


@pytest.fixture(scope="package")
def browser() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        chromium = Chromium(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def signed_in(browser: Chromium, wadah: Installation) -> Any:
    """Cookies of the administrator, signed in through the page once for all tests, and just confirmed."""
    context = browser.new_context(base_url=wadah.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    sign_in(page, wadah.username, wadah.password)
    confirm_password(page, wadah.password)
    state = context.storage_state()
    browser.close(context)
    return state


def sign_in(page: Page, username: str, password: str) -> None:
    page.goto("/accounts/login/")
    page.fill("input[name=login]", username)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/environments/")


def confirm_password(page: Page, password: str) -> None:
    """Some pages want it again after five minutes."""
    page.goto("/accounts/reauthenticate/?next=/environments/")
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/environments/")


def visit(page: Page, path: str) -> None:
    """Also from a page that goes somewhere itself just then, as that of a new environment does."""
    try:
        page.goto(path)
    except Error as aborted:
        assert "ERR_ABORTED" in aborted.message
        page.goto(path)


@pytest.fixture
def opens(browser: Chromium, wadah: Installation, signed_in: Any) -> Iterator[Opens]:
    """`opens()` is a new window of the administrator; `opens(signed_in=False)` of a stranger.

    More options are those of Playwright's `new_context`. Afterwards all are closed, and the test fails when a
    script of ours failed in one, or the CSP blocked something.
    """
    contexts: list[BrowserContext] = []
    complaints: list[list[str]] = []

    def opens(*, signed_in: Any = signed_in, **options: Any) -> Page:
        values = {
            "viewport": {"width": 1440, "height": 900},
            "permissions": ["clipboard-read", "clipboard-write"],
        }
        context = browser.new_context(
            base_url=wadah.url, storage_state=signed_in or None, **{**values, **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints.append(listen_for_complaints(page))
        return page

    yield opens
    for context in contexts:
        browser.close(context)
    assert not any(complaints), complaints


@pytest.fixture
def page(opens: Opens) -> Page:
    """The administrator's window."""
    return opens()


@pytest.fixture(scope="package")
def quiet(wadah: Installation) -> Iterator[str]:
    """A running busybox environment for tests that leave it as it was."""
    made = wadah.create("quiet")
    yield made
    wadah.delete(made)
