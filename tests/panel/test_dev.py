"""`./wadah dev`, started as a person does: sign in, make an environment, type at its console, end it."""

import http.client
import http.cookiejar
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif("TEST_DATABASE" in os.environ, reason="it has SQLite, whatever the tests have")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(home: Path) -> list[str]:
    """Command lines of whatever has this state in its arguments or environment."""
    found, mark = [], os.fsencode(home)
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                words = (entry / "cmdline").read_bytes()
                if mark in words or mark in (entry / "environ").read_bytes():
                    found.append(words.replace(b"\0", b" ").decode())
    return found


class Browser:
    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> str:
        with self.opener.open(self.url + path, timeout=60) as answer:
            return answer.read().decode()

    def sign_in(self, name: str, password: str) -> str:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get("/accounts/login/"))
        assert token
        form = {"csrfmiddlewaretoken": token[1], "login": name, "password": password}
        asked = urllib.request.Request(
            f"{self.url}/accounts/login/", urllib.parse.urlencode(form).encode(), {"Origin": self.url}
        )
        with self.opener.open(asked, timeout=60) as answer:
            return answer.url

    def api(self, token: str, path: str, body: dict[str, Any] | None = None) -> Any:
        asked = urllib.request.Request(
            f"{self.url}/api/v1/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read())


class Running:
    """One `./wadah dev` of the test's own."""

    def __init__(self, home: Path):
        self.home, self.port = home, free_port()
        words = [sys.executable, "-m", "runtime.install", "dev", "--port", str(self.port), "--home", str(home)]
        self.said = home.with_suffix(".said")
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(words, cwd=CHECKOUT, stdout=said, stderr=said)

    def wait(self, for_what: str) -> None:
        until = time.monotonic() + 180
        while for_what not in self.said.read_text():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < until, self.said.read_text()
            time.sleep(0.1)

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(40) == 0, self.said.read_text()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path / "dev")
    yield one
    if one.process.poll() is None:
        one.process.send_signal(signal.SIGTERM)
        one.process.wait(40)


def echoes(browser: Browser, environment: str) -> bool:
    """At its console, as the page's script has it: with the session's cookie, from the page's origin."""
    cookies = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
    at = f"{browser.url.replace('http', 'ws')}/ws/environments/{environment}/console"
    with connect(at, origin=browser.url, additional_headers={"Cookie": cookies}) as console:
        console.send(json.dumps({"type": "resume", "offset": 0}))
        console.send(b"echo to $ paper\r")
        seen, until = b"", time.monotonic() + 30
        while b"\r\nto $ paper\r\n" not in seen and time.monotonic() < until:
            said = console.recv(timeout=30)
            seen += said if isinstance(said, bytes) else b""
        return b"echo to $ paper\r\nto $ paper\r\n" in seen and b"Reached target" in seen


@pytest.mark.timeout(400)
def test_from_nothing_to_a_console_and_nothing_stays(running: Running) -> None:
    running.wait("a dozen environments")
    admin = json.loads((running.home / "admin.json").read_text())
    browser = Browser(running.port)
    assert browser.sign_in(admin["username"], admin["password"]).rstrip("/") != f"{browser.url}/accounts/login"
    assert "db-1" in browser.get("/environments/")
    assert browser.get("/static/css/app.css") == (CHECKOUT / "static" / "css" / "app.css").read_text()
    states = {one["state"] for one in browser.api(admin["token"], "environments?limit=50")["items"]}
    assert {"running", "stopped", "failed", "provisioning"} <= states

    wanted = {"name": "mine", "image": "debian-12", "tenant": "rimba"}
    limits = {"cpu": 1, "memory_mb": 512, "disk_mb": 4096}
    made = browser.api(admin["token"], "environments", {**wanted, "limits": limits})
    key, until = made["id"], time.monotonic() + 60
    while (state := browser.api(admin["token"], f"environments/{key}")["state"]) != "running":
        assert time.monotonic() < until, state
        time.sleep(0.2)
    said = browser.api(admin["token"], f"environments/{key}/exec", {"command": ["cat"], "stdin": "as it is"})
    assert (said["exit_code"], said["stdout"]) == (0, "as it is")
    assert echoes(browser, key)

    running.end()
    assert processes_of(running.home) == []
    assert not list((running.home / "run").glob("*.sock"))


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        words = ["dev", "--port", str(other.getsockname()[1]), "--home", str(tmp_path / "dev")]
        done = subprocess.run(
            [sys.executable, "-m", "runtime.install", *words],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and "can't be had" in done.stderr and "--port N" in done.stderr


def test_what_isnt_its_own_is_left(tmp_path: Path) -> None:
    (tmp_path / "photo").write_text("of somebody")
    words = [sys.executable, "-m", "runtime.install", "dev", "--reset", "--home", str(tmp_path)]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "holds something else" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["photo"]
