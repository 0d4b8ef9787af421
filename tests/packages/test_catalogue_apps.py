"""Entries of the catalogue that Debian has programs for are brought up by their own files, and answer their
clients."""

import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from runtime.install.layout import CHECKOUT
from tests.e2e.support import Installation
from tests.packages.conftest import Make
from tests.packages.debian_apps import ASKED, ENDED, PACKAGES, PREPARED, rewritten

_UP_S, _ANSWER_S = 300, 120


@pytest.fixture(scope="module")
def image(wadah: Installation, make: Make) -> str:
    """A system with all of the programs, published as an image: its registry is the installation's own."""
    system = make()
    system.sh(PREPARED)
    code, said = system.install(f"--no-install-recommends {PACKAGES}")
    assert code == 0, said
    system.sh(ENDED)
    name = f"catalogue-{uuid.uuid4().hex[:6]}"
    path = f"/environments/{system.environment}/commit"
    _done(wadah, wadah.call("POST", path, {"name": name, "tag": "1"}))
    return f"{urlsplit(wadah.url).netloc}/demo/{name}:1"


def _done(wadah: Installation, asked: Any, within_s: float = 600) -> None:
    assert asked.status == 202, asked.body
    operation = asked.body.get("operation", asked.body)
    operation = operation["id"] if isinstance(operation, dict) else operation

    def look() -> Any:
        body = wadah.call("GET", f"/operations/{operation}").body
        return None if body["state"] in ("pending", "running") else body

    told = wadah.wait(look, within_s)
    assert told["state"] == "succeeded", told


@pytest.mark.parametrize("slug", sorted(ASKED))
def test_it_answers_its_own_client(wadah: Installation, image: str, slug: str) -> None:
    one = yaml.safe_load((CHECKOUT / "panel/stacks/catalogue" / f"{slug}.yml").read_text())
    asks = one.get("asks", ())
    variables = {each["name"]: each.get("default") or uuid.uuid4().hex for each in asks}
    body = {
        "tenant": "demo",
        "name": f"{slug}-{uuid.uuid4().hex[:4]}",
        "compose": rewritten(one["compose"], image),
        "variables": variables,
        "limits": {"memory_mb": max(256, one["memory_mb"]), "disk_mb": 4096, "cpu": 1},
        "volume_mb": 1024,
    }
    stack = wadah.call("POST", "/stacks", body)
    assert stack.status == 202, stack.body
    try:
        _done(wadah, stack, _UP_S)
        seen = wadah.call("GET", f"/stacks/{stack.body['id']}").body
        service, script, word = ASKED[slug]
        (copy,) = next(each["environments"] for each in seen["services"] if each["name"] == service)
        said = _asked(wadah, copy["environment"], script.format(**variables), word)
        assert word in said
    finally:
        wadah.call("DELETE", f"/stacks/{stack.body['id']}?volumes=true")
        wadah.wait(lambda: wadah.call("GET", f"/stacks/{stack.body['id']}").status == 404, _UP_S)


def _asked(wadah: Installation, environment: str, script: str, word: str) -> str:
    until, said = time.monotonic() + _ANSWER_S, ""
    while time.monotonic() < until and word not in said:
        body = {"command": ["/bin/sh", "-c", f"{script} 2>&1"], "timeout_s": 20}
        answer = wadah.call("POST", f"/environments/{environment}/exec", body)
        said = answer.body["stdout"] if answer.status == 200 else str(answer.body)
        time.sleep(1)
    log = wadah.call("GET", f"/environments/{environment}/logs").body
    return said if word in said else f"{said}\n{bytes(log or b'')[-2000:].decode(errors='replace')}"
