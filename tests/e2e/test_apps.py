"""An app from a registry that an administrator named, over the API, on a real kernel."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Installation, ended, serves
from tests.support.registry import Hub, busybox, file, registry


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with registry(tmp_path) as one:
        yield one


def test_an_apps_day(wadah: Installation, hub: Hub) -> None:
    """Named, refused, allowed, run, asked, reached, changed, deleted."""
    script = "mkdir /www; echo hello $WHO > /www/index.html; echo up; exec httpd -f -p 80 -h /www"
    image = hub.push(
        "shop/web:1",
        busybox(),
        [file("of-one")],
        config={"Entrypoint": ["/bin/sh", "-c"], "Cmd": [script], "Env": ["PATH=/bin", "WHO=image"]},
    )
    fields = {
        "kind": "app",
        "tenant": "demo",
        "image": image,
        "limits": {"cpu": 1, "memory_mb": 128, "disk_mb": 256},
        "restart": {"mode": "never"},
    }
    refused = wadah.call("POST", "/environments", {"name": "app-refused", **fields})
    assert refused.status == 202, refused.body
    assert ended(wadah, refused.body["operation"]["id"])["code"] == "registry_inward"
    wadah.delete(refused.body["id"])

    inspect = {"tenant": "demo", "image": image}
    said = wadah.call("POST", "/registries/inspect", inspect)
    assert (said.status, said.body["code"]) == (422, "registry_inward")
    named = wadah.call("POST", "/registries", {"host": hub.host, "insecure": True, "inward": True})
    assert named.status == 201, named.body
    told = wadah.call("POST", "/registries/inspect", inspect)
    assert told.status == 200, told.body
    assert (told.body["entrypoint"], told.body["cmd"]) == (["/bin/sh", "-c"], [script])
    assert told.body["env"] == ["PATH=/bin", "WHO=image"]
    none = wadah.call("POST", "/registries/inspect", {"tenant": "demo", "image": f"{hub.host}/shop/none:1"})
    assert (none.status, none.body["code"]) == (422, "image_missing")
    made = wadah.call("POST", "/environments", {"name": "app-one", **fields})
    assert made.status == 202, made.body
    assert "root_password" not in made.body
    operation = ended(wadah, made.body["operation"]["id"])
    assert operation["state"] == "succeeded", operation
    assert "image fetch" in [step["name"] for step in operation["steps"]]
    one = made.body["id"]
    seen = wadah.wait_state(one, "running")
    assert seen["digest"] == told.body["digest"]
    assert seen["command"][:2] == ["/bin/sh", "-c"]
    serves(wadah, one, "hello image")

    logs = wadah.call("GET", f"/environments/{one}/logs?stream=stdout&since=1h&grep=up")
    assert logs.status == 200
    assert logs.body.decode().split()[1:] == ["stdout", "up"]
    assert wadah.call("GET", f"/environments/{one}/logs?stream=stderr").body == b""
    newest = wadah.call("GET", f"/environments/{one}/logs?tail=1").body
    assert newest == wadah.call("GET", f"/environments/{one}/logs").body.splitlines(keepends=True)[-1]
    assert wadah.call("GET", f"/environments/{one}/logs?until=1d").body == b""

    followed = f"{wadah.url}/api/v1/environments/{one}/logs?follow=true&tail=1"
    curl = ["curl", "-sN", "-m", "60", "-H", f"Authorization: Bearer {wadah.token}", followed]
    with subprocess.Popen(curl, stdout=subprocess.PIPE, text=True) as reading:
        assert reading.stdout
        assert reading.stdout.readline().split()[1:] == ["stdout", "up"]
        wadah.sh(one, "echo later > /proc/1/fd/1")
        assert reading.stdout.readline().split()[1:] == ["stdout", "later"]
        reading.terminate()

    forward = wadah.call("POST", f"/environments/{one}/forwards", {"port": 80})
    assert forward.status == 202, forward.body

    # the same image for a second one is there; by digest nobody is asked
    by_digest = f"{image.rpartition(':')[0]}@{seen['digest']}"
    second = wadah.call(
        "POST",
        "/environments",
        {"name": "app-two", **fields, "image": by_digest, "app": {"env": {"WHO": "request"}, "user": "0"}},
    )
    assert second.body["digest"] == seen["digest"]
    operation = ended(wadah, second.body["operation"]["id"])
    assert "image fetch" not in [step["name"] for step in operation["steps"]]
    two = second.body["id"]
    serves(wadah, two, "hello request")

    changed = wadah.call("PATCH", f"/environments/{two}", {"app": {"env": {"WHO": "change"}, "command": None}})
    assert changed.status == 202, changed.body
    assert ended(wadah, changed.body["operation"]["id"])["state"] == "succeeded"
    serves(wadah, two, "hello change")

    # its end is the app's
    batch = wadah.call(
        "POST", "/environments", {"name": "app-batch", **fields, "app": {"args": ["echo done; exit 3"]}}
    )
    assert batch.status == 202, batch.body
    ended(wadah, batch.body["operation"]["id"])
    wadah.wait(lambda: wadah.get(batch.body["id"])["code"], 60)
    stopped = wadah.wait_state(batch.body["id"], "stopped")
    assert (stopped["code"], stopped["exit_code"]) == ("app_ended", 3)

    for each in (one, two, batch.body["id"]):
        wadah.delete(each)
    assert wadah.call("DELETE", f"/registries/{named.body['id']}").status == 204
