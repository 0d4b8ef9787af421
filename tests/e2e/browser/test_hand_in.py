"""An archive is handed in on the page of a build: an image goes into the registry as it is."""

import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.browser.eyes import look
from tests.e2e.support import Installation
from tests.support.registry import Layout, busybox


def test_an_image_as_a_file(page: Page, wadah: Installation, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    archive = tmp_path / "image.tar"
    source = layout.named(layout.image(busybox(), config={"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}))
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", source, f"oci-archive:{archive}"]
    subprocess.run(words, check=True, timeout=100)
    fields = {"tenant": "demo", "name": "handed", "dockerfile_text": "FROM scratch\n"}
    made = wadah.call("POST", "/builds", fields)
    assert made.status == 201, made.body
    page.goto(f"/builds/{made.body['id']}")
    page.get_by_label("Hand in an archive").set_input_files(archive)
    page.get_by_label("an image, as docker save").check()
    page.get_by_role("button", name="Hand in", exact=True).click()
    expect(page.get_by_role("link", name="#1", exact=True)).to_be_visible()

    def ended() -> bool:
        return bool(wadah.call("GET", f"/builds/{made.body['id']}/runs/1").body["digest"])

    wadah.wait(ended, 120)
    names = [one["name"] for one in wadah.call("GET", "/repositories").body["items"]]
    assert "demo/handed" in names
    page.reload()
    page.get_by_role("link", name="Run it").first.click()
    says = page.locator("#image-says")
    expect(says).to_contain_text("/bin/sh")
    expect(says).to_contain_text("sha256:")
    assert page.locator("[name='app.args']").get_attribute("placeholder") == "/bin/sh"
    assert look(page, "create-app") == []
    assert wadah.call("DELETE", f"/builds/{made.body['id']}").status == 204
