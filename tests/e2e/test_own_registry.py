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
    (listed,) = wadah.call("GET", "/repositories").body["items"]
    assert listed["reference"] == f"{host}/demo/web"
    made = wadah.call(
        "POST",
        "/environments",
        {
            "name": "app-own",
            "kind": "app",
            "tenant": "demo",
            "image": f"{listed['reference']}:1",
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
