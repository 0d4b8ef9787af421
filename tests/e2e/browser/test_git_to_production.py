"""A Git push is built, rolled out at the first stage, promoted to production by a click, and one click brings
back what production ran before."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser.eyes import look
from tests.e2e.support import Installation, ended, serves
from tests.support.git import commit, serving
from tests.support.ports import free_port
from tests.support.registry import Layout, busybox

APP = {
    "kind": "app",
    "tenant": "demo",
    "limits": {"cpu": 1, "memory_mb": 128, "disk_mb": 256},
    # a shell as the first process takes no SIGTERM
    "app": {"init": True},
}
HOOK = """#!/bin/sh
read before after ref
curl -fsS -m 60 -H "X-Wadah-Token: {secret}" -H 'Content-Type: application/json' \\
  -d "{{\\"ref\\": \\"$ref\\", \\"before\\": \\"$before\\", \\"after\\": \\"$after\\"}}" {url}
"""


def _files(host: str, words: str) -> dict[str, str]:
    serve = 'CMD ["/bin/sh", "-c", "exec httpd -f -p 80 -h /www"]\n'
    return {
        "Dockerfile": f"FROM {host}/demo/shop-base:1\nCOPY index.html /www/\n{serve}",
        "index.html": f"{words}\n",
    }


@pytest.fixture
def forge(wadah: Installation, tmp_path: Path) -> Iterator[str]:
    """A Git server that may be pushed to, which an administrator lets be asked."""
    bare = tmp_path / "git/shop.git"
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", str(bare)], check=True, timeout=20)
    subprocess.run(["git", "-C", str(bare), "config", "http.receivepack", "true"], check=True, timeout=20)
    with serving(tmp_path / "git", free_port()) as url:
        asked = {"host": urlsplit(url).netloc, "insecure": True, "inward": True}
        named = wadah.call("POST", "/registries", asked)
        assert named.status == 201, named.body
        yield url
        wadah.call("DELETE", f"/registries/{named.body['id']}")


def _done(wadah: Installation, asked: Any) -> Any:
    assert asked.status in (201, 202), asked.body
    operation = asked.body["operation"]
    told = ended(wadah, operation["id"] if isinstance(operation, dict) else operation)
    assert told["state"] == "succeeded", told
    return asked.body


def _pushed(work: Path, url: str) -> None:
    words = ["git", "-C", str(work), "push", "--quiet", f"{url}/shop.git", "main"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def _of_stage(page: Page, name: str) -> Locator:
    section = page.locator("section.panel").filter(has=page.get_by_role("heading", name="pushed", exact=True))
    return section.get_by_role("row").filter(has=page.locator(".name", has_text=name))


def test_pushed_promoted_and_brought_back(page: Page, wadah: Installation, forge: str, tmp_path: Path) -> None:
    host = urlsplit(wadah.url).netloc
    layout = Layout(tmp_path / "layout")
    history = [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}]
    base = layout.named(layout.image(busybox(), config={"Env": ["PATH=/bin"]}, history=history))
    creds = ["--dest-tls-verify=false", f"--dest-creds=x:{wadah.token}"]
    words = ["skopeo", "--insecure-policy", "copy", "-q", *creds, base, f"docker://{host}/demo/shop-base:1"]
    subprocess.run(words, check=True, timeout=100)

    # the first push is built by hand, and both stages begin with it
    work, bare = tmp_path / "work", tmp_path / "git/shop.git"
    commit(work, _files(host, "first"))
    _pushed(work, forge)
    git = {"url": f"{forge}/shop.git", "branch": "main"}
    source = wadah.call("POST", "/builds", {"tenant": "demo", "name": "shop", "git": git})
    assert source.status == 201, source.body
    at = f"/builds/{source.body['id']}"
    _done(wadah, wadah.call("POST", f"{at}/run", {}))
    image = wadah.call("GET", f"{at}/runs/1").body["reference"]
    apps, stages = {}, {}
    for name in ("test", "production"):
        asked = {**APP, "name": f"shop-{name}", "image": image}
        apps[name] = _done(wadah, wadah.call("POST", "/environments", asked))["id"]
        fields = {"tenant": "demo", "line": "pushed", "name": name, "environments": [f"shop-{name}"]}
        stages[name] = wadah.call("POST", "/stages", fields).body["id"]
    assert wadah.call("PATCH", at, {"stage": stages["test"]}).status == 200
    hook = wadah.call("POST", f"{at}/webhook").body
    (bare / "hooks/post-receive").write_text(HOOK.format(**hook))
    (bare / "hooks/post-receive").chmod(0o755)

    # the second one goes to the first stage by itself
    commit(work, _files(host, "second"))
    _pushed(work, forge)
    serves(wadah, apps["test"], "second", 120)
    serves(wadah, apps["production"], "first")

    wadah.wait(lambda: _idle(wadah, stages["test"]), 60)
    page.goto("/stages/")
    _of_stage(page, "test").get_by_role("link", name="Change").click()
    page.get_by_label("Seconds for requests under way").fill("1")
    assert look(page, "stage") == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The stage was changed")).to_be_visible()
    assert wadah.call("GET", f"/stages/{stages['test']}").body["drain_s"] == 1
    _of_stage(page, "test").get_by_role("button", name="Promote").click()
    serves(wadah, apps["production"], "second", 120)
    wadah.wait(lambda: _idle(wadah, stages["production"]), 60)
    digests = {wadah.get(one)["digest"] for one in apps.values()}
    assert len(digests) == 1, "it is the same image"

    page.goto("/stages/")
    _of_stage(page, "production").get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    serves(wadah, apps["production"], "first", 120)
    serves(wadah, apps["test"], "second")
    wadah.wait(lambda: _idle(wadah, stages["production"]), 60)
    page.reload()
    expect(_of_stage(page, "production")).to_contain_text("1")
    for each in apps.values():
        wadah.delete(each)
    for name in reversed(stages):
        gone = f"/stages/{stages[name]}"
        wadah.wait(lambda gone=gone: wadah.call("DELETE", gone).status == 204, 60)
    assert wadah.call("DELETE", at).status == 204


def _idle(wadah: Installation, stage: str) -> bool:
    rollout = wadah.call("GET", f"/stages/{stage}").body["rollout"]
    return rollout is None or rollout["state"] in ("done", "failed")
