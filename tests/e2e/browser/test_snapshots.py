"""A tenant takes a snapshot, breaks something, goes back, and makes another environment of it."""

from playwright.sync_api import Page, expect

from tests.e2e.support import Installation


def test_taken_broken_gone_back_and_cloned(page: Page, wadah: Installation, environment: str) -> None:
    wadah.sh(environment, "echo good > /root/note")
    page.goto(f"/environments/{environment}/snapshots")
    page.get_by_label("Name", exact=True).fill("before the upgrade")
    page.get_by_role("button", name="Take a snapshot").click()
    line = page.get_by_role("row", name="before the upgrade")
    expect(line.get_by_text("ready")).to_be_visible()

    line.get_by_role("link", name="Files").click()
    page.get_by_role("button", name="root", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="note", exact=True).click()
    assert download.value.path().read_text() == "good\n"
    page.get_by_role("button", name="before the upgrade").click()
    expect(page.get_by_role("button", name="etc", exact=True)).to_be_visible()
    page.get_by_role("link", name="Snapshots").last.click()

    wadah.sh(environment, "echo broken > /root/note")
    line.get_by_role("link", name="What changed").click()
    changed = page.get_by_role("row", name="/root/note")
    expect(changed.get_by_text("changed")).to_be_visible()
    changed.get_by_role("button", name="Put back").click()
    page.get_by_role("dialog").get_by_role("button", name="Put back").click()
    expect(page.get_by_text("Put back: /root/note")).to_be_visible()
    assert wadah.sh(environment, "cat /root/note").strip() == "good"
    page.get_by_role("link", name="Snapshots").last.click()

    wadah.sh(environment, "echo broken > /root/note")
    line.get_by_role("button", name="Go back").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    kept = page.get_by_role("row", name="before before the upgrade")
    expect(kept.get_by_text("ready")).to_be_visible()
    assert wadah.sh(environment, "cat /root/note").strip() == "good"

    kept.get_by_text("New from it").click()
    kept.get_by_label("Name of the new environment").fill("No Such Name")
    kept.get_by_role("button", name="Create").click()
    expect(page.locator(".field-error")).to_be_visible()
    kept.get_by_label("Name of the new environment").fill("from-a-snapshot")
    kept.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="from-a-snapshot")).to_be_visible()
    expect(page.locator("#ve-head .state")).to_have_text("running")
    clone = page.url.rstrip("/").split("/")[-1]
    assert wadah.sh(clone, "cat /root/note; hostname").split() == ["broken", "from-a-snapshot"]
    wadah.delete(clone)


def test_deleted_and_brought_back(page: Page, wadah: Installation) -> None:
    tenant = wadah.call("POST", "/tenants", {"name": "With a trash"}).body["id"]
    environment = wadah.create("rests", tenant=tenant)
    wadah.sh(environment, "echo good > /root/note")
    page.goto(f"/tenants/{tenant}/")
    page.get_by_label("Days in the trash").fill("7")
    page.locator("#trash").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Days in the trash saved")).to_be_visible()

    page.goto(f"/environments/{environment}/settings#danger")
    page.get_by_label("Type rests to delete it").fill("rests")
    page.get_by_role("button", name="Delete rests").click()
    wadah.wait_state(environment, "trashed")
    # of all tenants: the session is that of all tests, and another one chose a tenant
    page.goto("/environments/?tenant=&state=trashed")
    page.get_by_role("link", name="rests", exact=True).click()
    expect(page.locator("#ve-head .state")).to_have_text("in the trash")
    expect(page.locator("#ve-head")).to_contain_text("in 6 days")
    page.get_by_role("button", name="Bring it back").click()
    expect(page.locator("#ve-head .state")).to_have_text("running")
    assert wadah.sh(environment, "cat /root/note") == "good"
    assert wadah.call("DELETE", f"/environments/{environment}?now=true").status == 202
    wadah.wait_gone(environment)
