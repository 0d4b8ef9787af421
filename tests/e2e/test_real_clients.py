"""Docker and Podman as Debian has them push to the registry of an installation and pull from it, and what
Docker built and pushed runs as an app."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.support import Installation, ended
from tests.support.engines import Engine, engines

DOCKERFILE = """FROM scratch
COPY busybox /bin/sh
COPY index.html /www/index.html
LABEL org.example.made-by=docker
ENV PATH=/bin
EXPOSE 80
HEALTHCHECK --interval=5s CMD ["/bin/sh", "-c", "exit 0"]
CMD ["/bin/sh", "-c", "exec httpd -f -p 80 -h /www"]
"""


@pytest.fixture(scope="module")
def clients() -> Iterator[tuple[Engine, Engine]]:
    with engines() as (docker, podman):
        for each in (docker, podman):
            if each.reason:
                pytest.skip(f"{each.name}: {each.reason}")
        yield docker, podman


@pytest.fixture
def context(tmp_path: Path) -> Path:
    shutil.copy("/bin/busybox", tmp_path / "busybox")
    (tmp_path / "index.html").write_text("pushed by docker\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def test_pushed_by_one_pulled_by_the_other_and_run(
    wadah: Installation, clients: tuple[Engine, Engine], context: Path
) -> None:
    docker, podman = clients
    host = urlsplit(wadah.url).netloc
    first, second = f"{host}/demo/real:1", f"{host}/demo/real:2"
    docker.build(context, first)
    with pytest.raises(RuntimeError, match=r"unauthorized|authentication required|denied"):
        docker.push(first)
    docker.do("login", "-u", "anybody", "-p", wadah.token, host)
    docker.push(first)

    podman.do("login", "--tls-verify=false", "-u", "anybody", "-p", wadah.token, host)
    podman.pull(first)
    told = json.loads(podman.do("inspect", first))[0]
    assert told["Config"]["Labels"] == {"org.example.made-by": "docker"}
    podman.do("tag", first, second)
    podman.push(second)

    docker.forget(first)
    docker.pull(second)
    assert json.loads(docker.do("inspect", second))[0]["Config"]["ExposedPorts"] == {"80/tcp": {}}
    creds = ["--src-tls-verify=false", f"--src-creds=x:{wadah.token}"]
    words = ["skopeo", "--insecure-policy", "copy", "-q", *creds, f"docker://{second}", f"dir:{context}/out"]
    subprocess.run(words, check=True, timeout=100)

    fields = {"name": "app-docker", "kind": "app", "tenant": "demo", "image": first}
    limits = {"cpu": 1, "memory_mb": 128, "disk_mb": 256}
    made = wadah.call("POST", "/environments", {**fields, "limits": limits})
    assert made.status == 202, made.body
    assert ended(wadah, made.body["operation"]["id"])["state"] == "succeeded"
    one = made.body["id"]
    wadah.wait(lambda: (wadah.get(one)["health"] or {}).get("state") == "healthy", 60)
    said = wadah.call(
        "POST", f"/environments/{one}/exec", {"command": ["/bin/sh", "-c", "cat /www/index.html"]}
    )
    assert said.body["stdout"] == "pushed by docker\n", said.body
    wadah.delete(one)
    for tag in ("1", "2"):
        wadah.call("DELETE", f"/repositories/tags?name=demo/real&tag={tag}")
