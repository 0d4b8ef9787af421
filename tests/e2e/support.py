"""A whole installation for tests, started by the same command that people use, and a small API client."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.host import libc
from runtime.install.layout import CHECKOUT
from tests.host.support.node import network_namespace


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Installation:
    home: Path
    url: str
    username: str
    password: str
    token: str

    def wadah(
        self, *words: str, timeout_s: float = 240, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """./wadah with this home."""
        verb, *rest = words
        command = [str(CHECKOUT / "wadah"), verb, "--home", str(self.home), *rest]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, cwd=CHECKOUT, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def call(
        self, method: str, path: str, body: Any = None, *, timeout_s: float = 60, **headers: str
    ) -> Answer:
        """One request of the API as the administrator (or with another Authorization)."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        sent.update({key.replace("_", "-"): value for key, value in headers.items()})
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                status, text, got = answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            status, text, got = error.code, error.read(), dict(error.headers)
        return Answer(status, json.loads(text) if text.strip().startswith((b"{", b"[")) else text, got)

    def create(self, name: str = "", **fields: Any) -> str:
        """Id of a new running environment (busybox unless said otherwise)."""
        limits = {"cpu": 1, "memory_mb": 64, "disk_mb": 128}
        values = {
            "name": name or f"t-{uuid.uuid4().hex[:10]}",
            "image": "busybox",
            "tenant": "demo",
            "limits": limits,
            "stop_timeout_s": 3,
        }
        answer = self.call("POST", "/environments", {**values, **fields})
        assert answer.status == 202, answer.body
        self.wait_state(answer.body["id"], "running")
        return str(answer.body["id"])

    def get(self, environment: str) -> Any:
        return self.call("GET", f"/environments/{environment}").body

    def wait_state(self, environment: str, state: str, seconds: float = 60) -> Any:
        def look() -> Any:
            seen = self.get(environment)
            settled = seen["observed_generation"] >= seen["generation"]
            return seen if seen["state"] == state and settled else None

        return self.wait(look, seconds, lambda: f"not {state}: {self.get(environment)}")

    def wait_gone(self, environment: str, seconds: float = 60) -> None:
        self.wait(lambda: self.call("GET", f"/environments/{environment}").status == 404, seconds)

    @staticmethod
    def wait(look: Callable[[], Any], seconds: float, else_say: Callable[[], str] = lambda: "") -> Any:
        """What `look` saw first. On a busy machine a minute is nothing: no wait is shorter."""
        until = time.monotonic() + max(seconds, 60)
        while time.monotonic() < until:
            seen = look()
            if seen:
                return seen
            time.sleep(0.05)
        raise AssertionError(else_say() or f"not so within {seconds:g} s")

    def sh(self, environment: str, script: str) -> str:
        answer = self.call("POST", f"/environments/{environment}/exec", {"command": ["/bin/sh", "-c", script]})
        assert answer.status == 200, answer.body
        assert answer.body["exit_code"] == 0, answer.body
        return str(answer.body["stdout"]).strip()

    def delete(self, environment: str) -> None:
        def asked() -> Answer | None:
            """Not while the panel itself is just being started again."""
            answer = self.call("DELETE", f"/environments/{environment}?now=true")
            return answer if answer.status < 500 else None

        answer = self.wait(asked, 30)
        assert answer.status in (202, 404), answer.body
        self.wait_gone(environment)


def ready(made: Installation) -> None:
    """An installation without the demo gets what tests need: its tenant `demo`, and the image busybox."""
    quota = {"environments": 500, "cpu": 500, "memory_mb": 200_000, "disk_mb": 500_000}
    answer = made.call("POST", "/tenants", {"name": "Demo", "slug": "demo", "quota": quota})
    assert answer.status in (201, 409), answer.body
    made.wait(lambda: any(one["name"] == "busybox" for one in made.call("GET", "/images").body["items"]), 30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def standing(home: Path) -> Installation:
    """An installation that is up already, for those who write tests."""
    admin = json.loads((home / "admin.json").read_text())
    return Installation(home, *(admin[key] for key in ("url", "username", "password", "token")))


@contextmanager
def installation(*options: str, panel_disk_mb: int = 0) -> Iterator[Installation]:
    """Up with these options, and afterwards purged: nothing of it is left on the machine.

    `panel_disk_mb`: the database lies on a disk of that size.

    With `WADAH_TEST_HOME=DIR` the one in DIR is used, as it is, and left.
    """
    if os.environ.get("WADAH_TEST_HOME"):
        yield standing(Path(os.environ["WADAH_TEST_HOME"]))
        return
    home = Path(tempfile.mkdtemp(prefix="wadah-e2e-"))
    home.chmod(0o755)
    if panel_disk_mb:
        (home / "panel").mkdir()
        libc.mount("tmpfs", str(home / "panel"), "tmpfs", 0, f"size={panel_disk_mb}m")
    made = Installation(home, f"http://127.0.0.1:{free_port()}", "", "", "")
    with network_namespace() as namespace:
        try:
            port = made.url.rpartition(":")[2]
            words = ["up", "--detach", "--port", port, "--node-netns", str(namespace), *options]
            said = made.wadah(*words, timeout_s=600)
            admin = json.loads((home / "admin.json").read_text())
            made.username, made.password, made.token = (admin[k] for k in ("username", "password", "token"))
            assert "hello" in said.stdout or "--no-demo" in options, said.stdout
            yield made
        finally:
            keep = os.environ.get("WADAH_TEST_KEEP_LOGS")
            if keep:
                shutil.copytree(home / "log", keep, dirs_exist_ok=True)
            if panel_disk_mb:  # stopped first: a purge can't delete what something is mounted on
                made.wadah("down", timeout_s=120, check=False)
                libc.umount(str(home / "panel"), libc.MNT_DETACH)
            made.wadah("down", "--purge", timeout_s=300, check=False)
            shutil.rmtree(home, ignore_errors=True)


def ended(wadah: Installation, operation: str) -> Any:
    def look() -> Any:
        body = wadah.call("GET", f"/operations/{operation}").body
        return None if body["state"] in ("pending", "running") else body

    return wadah.wait(look, 120)


def serves(wadah: Installation, environment: str, words: str, seconds: float = 30) -> None:
    command = {"command": ["/bin/cat", "/www/index.html"]}

    def look() -> bool:
        answer = wadah.call("POST", f"/environments/{environment}/exec", command)
        return answer.status == 200 and words in answer.body["stdout"]

    wadah.wait(look, seconds)
