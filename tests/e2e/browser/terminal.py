"""A terminal in the page, read as a screen reader reads it and typed into as a person does."""

from playwright.sync_api import Locator, Page, expect

#: Before the page's scripts run: xterm writes its rows as text beside the drawing.
READ_ALOUD = "localStorage.setItem('terminal-screen-reader', '1')"


#: A boot, or a stop and a boot: seconds on a machine at rest, and beside other tests many more.
BOOT_MS = 150_000


class Screen:
    def __init__(self, page: Page, name: str = "console") -> None:
        self.page = page
        self.place: Locator = page.locator(f"#terminal-{name}")
        self.rows: Locator = self.place.locator(".xterm-accessibility-tree")
        self._input: Locator = self.place.locator("textarea.xterm-helper-textarea")

    def is_connected(self) -> None:
        expect(self.place.locator(".terminal-bar")).to_have_attribute("data-state", "open")

    def shows(self, text: str, *, within_ms: int | None = None) -> None:
        """Within the rows that are in sight. Spaces at a row's end don't count."""
        expect(self.rows).to_contain_text(text, timeout=within_ms)

    def text(self) -> str:
        return self.rows.inner_text().replace("\u00a0", " ")

    def type(self, text: str) -> None:
        self._input.focus()
        self.page.keyboard.type(text)

    def run(self, command: str) -> None:
        self.type(command + "\n")

    def log_in(self, name: str, password: str) -> None:
        self.shows("login:", within_ms=BOOT_MS)
        self.run(name)
        self.shows("Password:")
        self.run(password)

    def paste(self, text: str) -> None:
        self.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        self._input.focus()
        self.page.keyboard.press("Control+Shift+V")
