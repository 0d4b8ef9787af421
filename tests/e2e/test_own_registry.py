"""An image pushed into the registry of an installation by skopeo, as it is, and an app made from it."""

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.support import Installation, ended, serves
from tests.support.registry import Layout, busybox


def test_pushed_and_run(wadah: Installation, tmp_path: Path) -> None:
    script = "mkdir /www; echo pushed > /www/index.html; exec httpd -f -p 80 -h /www"
    image = Layout(tmp_path)
    config = {"Entrypoint": ["/bin/sh", "-c"], "Cmd": [script], "Env": ["PATH=/bin"]}
    source = image.named(image.image(busybox(), config=config))
    host = urlsplit(wadah.url).netloc
    how = ["--dest-tls-verify=false", f"--dest-creds=admin:{wadah.token}"]
    words = ["skopeo", "--insecure-policy", "copy", *how, source, f"docker://{host}/demo/web:1"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    references = [one["reference"] for one in wadah.call("GET", "/repositories").body["items"]]
    assert f"{host}/demo/web" in references
    made = wadah.call(
        "POST",
        "/environments",
        {
            "name": "app-own",
            "kind": "app",
            "tenant": "demo",
            "image": f"{host}/demo/web:1",
            "limits": {"cpu": 1, "memory_mb": 128, "disk_mb": 256},
        },
    )
    assert made.status == 202, made.body
    told = ended(wadah, made.body["operation"]["id"])
    assert told["state"] == "succeeded", told
    serves(wadah, made.body["id"], "pushed")
    (tag,) = wadah.call("GET", "/repositories/tags?name=demo/web").body["items"]
    assert tag["used_by"] == [made.body["id"]]
    assert tag["digest"] == wadah.get(made.body["id"])["digest"]
    wadah.delete(made.body["id"])
    assert wadah.call("DELETE", "/repositories/tags?name=demo/web&tag=1").status == 200


def test_built_on_it_and_run(wadah: Installation, tmp_path: Path) -> None:
    """A base in the registry, a Dockerfile by the API, what it says, and an app of what came of it."""
    host = urlsplit(wadah.url).netloc
    image = Layout(tmp_path)
    history = [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}]
    source = image.named(image.image(busybox(), config={"Env": ["PATH=/bin"]}, history=history))
    how = ["--dest-tls-verify=false", f"--dest-creds=admin:{wadah.token}"]
    words = ["skopeo", "--insecure-policy", "copy", *how, source, f"docker://{host}/demo/base:1"]
    subprocess.run(words, capture_output=True, timeout=100, check=True)
    text = (
        f"FROM {host}/demo/base:1\nRUN mkdir /www && echo built > /www/index.html\n"
        'CMD ["/bin/sh", "-c", "exec httpd -f -p 80 -h /www"]\n'
    )
    made = wadah.call("POST", "/builds", {"tenant": "demo", "name": "built", "dockerfile_text": text})
    assert made.status == 201, made.body
    asked = wadah.call("POST", f"/builds/{made.body['id']}/run", {})
    assert asked.status == 202, asked.body
    told = ended(wadah, asked.body["operation"])
    log = f"{wadah.url}/api/v1/builds/{made.body['id']}/runs/1/log?follow=1"
    curl = ["curl", "-s", "-m", "60", "-H", f"Authorization: Bearer {wadah.token}"]
    said = subprocess.run([*curl, log], capture_output=True, text=True, timeout=90, check=True).stdout
    assert told["state"] == "succeeded", (told, said)
    assert "STEP 2/3" in said
    build = wadah.call("GET", f"/builds/{made.body['id']}/runs/1").body
    limits = {"cpu": 1, "memory_mb": 128, "disk_mb": 256}
    body = {"name": "app-built", "kind": "app", "tenant": "demo", "image": build["reference"], "limits": limits}
    app = wadah.call("POST", "/environments", body)
    assert app.status == 202, app.body
    assert ended(wadah, app.body["operation"]["id"])["state"] == "succeeded"
    serves(wadah, app.body["id"], "built")
    wadah.delete(app.body["id"])
    assert wadah.call("DELETE", f"/builds/{made.body['id']}").status == 204
