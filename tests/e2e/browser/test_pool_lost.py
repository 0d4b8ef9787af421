"""A tenant backs up, its node loses the disk under it, and all comes back from the backup, proved."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

from runtime.node import Node
from tests.e2e.browser.eyes import axe_findings, shoot
from tests.e2e.support import Installation
from tests.host.backups.servers import Beside, Sshd
from tests.support.pools import another_pool


@pytest.fixture
def elsewhere(wadah: Installation, tmp_path: Path) -> Iterator[Sshd]:
    """A server that backups go to."""
    server = Sshd(tmp_path, Beside(Node.load(wadah.home)))
    server.start()
    yield server
    server.stop()


def _opened(page: Page, path: str) -> None:
    """A page that shows itself anew just now calls this one off."""
    try:
        page.goto(path)
    except Error as called_off:
        assert "ERR_ABORTED" in called_off.message
        page.goto(path)


def test_backed_up_lost_with_its_pool_restored_elsewhere_and_proved(
    page: Page, wadah: Installation, elsewhere: Sshd
) -> None:
    environment = wadah.create("shop")
    wadah.sh(environment, "echo good > /root/note")
    _name_the_target(page, elsewhere)
    backups = f"/environments/{environment}/backups"
    _opened(page, backups)
    page.get_by_label("Name", exact=True).fill("each night")
    page.get_by_role("button", name="Back up now").click()
    line = page.get_by_role("row", name="each night")
    # backups have the least share of the processors: on a busy machine they take their time
    wadah.wait(lambda: wadah.call("GET", backups).body["items"][0]["state"] == "ready", 300)
    expect(line.get_by_text("not proved")).to_be_visible()
    with another_pool(wadah.home):
        _opened(page, f"/environments/{environment}")
        expect(page.locator("#main")).to_contain_text("its root volume is gone")
        shoot(page, "pool-lost")
        _opened(page, backups)
        line.get_by_role("button", name="Go back").click()
        page.get_by_role("dialog").get_by_role("button", name="Go back").click()
        wadah.wait(lambda: wadah.get(environment)["state"] == "running", 300)
        assert wadah.sh(environment, "cat /root/note; hostname").split() == ["good", "shop"]

        _opened(page, backups)
        line.get_by_text("New from it").click()
        line.get_by_label("Name of the new environment").fill("shop-elsewhere")
        line.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="shop-elsewhere")).to_be_visible()
        made = page.url.rstrip("/").split("/")[-1]
        wadah.wait_state(made, "running", 300)
        assert wadah.sh(made, "cat /root/note; hostname").split() == ["good", "shop-elsewhere"]

        _opened(page, backups)
        line.get_by_role("button", name="Prove").click()
        wadah.wait(lambda: wadah.call("GET", backups).body["items"][0]["proved_at"], 300)
        expect(line.get_by_text("proved", exact=True)).to_be_visible()
        line.get_by_text("What was seen").click()
        expect(line.locator("pre")).to_be_visible()
        assert not axe_findings(page)
        shoot(page, "proved")
        wadah.delete(made)
    wadah.delete(environment)
    wadah.delete(wadah.wait(lambda: _made(wadah), 300))  # its images are told anew, and others need them
    for one in wadah.call("GET", "/backup-targets").body["items"]:
        assert wadah.call("DELETE", f"/backup-targets/{one['id']}").status == 204


def _made(wadah: Installation) -> str | None:
    with suppress(AssertionError):
        return wadah.create()
    return None


def _name_the_target(page: Page, server: Sshd) -> None:
    page.goto("/backups/?kind=sftp#add")
    fields = {
        "Name": "elsewhere",
        "Server": "127.0.0.1",
        "Port": str(server.port),
        "User": "root",
        "Directory on the server": str(server.files / "nightly"),
    }
    for label, value in fields.items():
        page.locator("#add").get_by_label(label, exact=True).fill(value)
    page.get_by_label("Or a private key").fill(server.login.private_key)
    page.get_by_label("May lie at a private address").check()
    page.get_by_role("button", name="Name it").click()
    expect(page.get_by_text("shown only now")).to_be_visible()
