"""What is wrong with a page: by axe, by its width, by what its scripts complain of; and pictures of it."""

import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page

from runtime.install.layout import CHECKOUT

#: Width and height of a phone, a tablet and a desk.
SIZES = {360: 740, 768: 1024, 1440: 900}
_AXE = CHECKOUT / "node_modules" / "axe-core" / "axe.min.js"
#: Impacts that fail a test, of axe's four.
_SERIOUS = {"serious", "critical"}
#: Chromium says so of each answer 4xx and 5xx, and htmx of each part of a page; whether it was meant is the
#: test's own business: one deletes what its page shows.
_OF_THE_NETWORK = re.compile(
    r"Failed to load resource|WebSocket connection to|Error in connection establishment"
    r"|Response Status Error Code 404 from "
)


def listen_for_complaints(page: Page) -> list[str]:
    """Grows as scripts fail and as the CSP blocks something. Must stay empty."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not _OF_THE_NETWORK.search(message.text):
            complaints.append(f"{page.url}: {message.text}")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    return complaints


def wear(page: Page, scheme: str) -> None:
    """`light` or `dark`, as a reader's system says it and as the panel's own switch keeps it.

    Without motion, so that no colour is looked at half way to another.
    """
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.evaluate(
        "s => { localStorage.setItem('theme', s); document.documentElement.dataset.bsTheme = s;"
        " document.dispatchEvent(new CustomEvent('wadah:theme')) }",
        scheme,
    )


def width_of(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": SIZES[width]})


def axe_findings(page: Page, rules: list[str] | None = None) -> list[str]:
    """Serious and critical findings, one a line: rule, element, what to do. `rules`: only these."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_AXE.read_text(encoding="utf-8"))
    # without another copy of all style sheets, which only rules that axe calls experimental look at
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": {"assets": ["media"]}}
    if rules is not None:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} - {' '.join(node['failureSummary'].split())[:300]}"
        for one in found
        if one["impact"] in _SERIOUS
        for node in one["nodes"]
    ]


def sideways(page: Page) -> list[str]:
    """What is wider than the window, when the page itself would scroll sideways.

    What draws itself anew after the window changed, as graphs do, has a second for it.
    """
    return list(
        page.evaluate(
            """async () => {
              const root = document.documentElement;
              for (let i = 0; i < 20 && root.scrollWidth > root.clientWidth; i += 1)
                await new Promise((done) => setTimeout(done, 50));
              if (root.scrollWidth <= root.clientWidth) return [];
              return [...document.querySelectorAll("body *")]
                .map((one) => [one, one.getBoundingClientRect().right])
                .filter(([, right]) => right > root.clientWidth + 1).slice(0, 5)
                .map(([one, right]) => `${one.tagName} ${one.className} ${right}`);
            }"""
        )
    )


def look(page: Page, name: str, *, schemes: tuple[str, ...] = ("light", "dark")) -> list[str]:
    """Everything that is wrong with this page, at three widths, light and dark.

    With `WADAH_SHOTS=DIR` each is also a picture there: `DIR/<name>-<width>-<scheme>.png`.
    """
    wrong: list[str] = []
    for scheme in schemes:
        wear(page, scheme)
        for width in SIZES:
            width_of(page, width)
            wrong += [f"{name} at {width}: wider than the window: {one}" for one in sideways(page)]
            if width != 768:
                rules = None if scheme == schemes[0] else ["color-contrast"]
                wrong += [f"{name} {scheme} at {width}: {one}" for one in axe_findings(page, rules)]
            shoot(page, f"{name}-{width}-{scheme}")
    wear(page, "light")
    width_of(page, 1440)
    return wrong


def shoot(page: Page, name: str, *, full: bool = True) -> None:
    """A no-op unless `WADAH_SHOTS` names a directory."""
    place = os.environ.get("WADAH_SHOTS")
    if not place:
        return
    Path(place).mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(150)  # fonts and bars settle
    page.screenshot(path=Path(place) / f"{name}.png", full_page=full)
