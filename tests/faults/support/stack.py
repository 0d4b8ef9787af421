"""A running installation as a target for faults: find, kill, freeze and continue its processes."""

import http.cookiejar
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import redis

from runtime.install.layout import CHECKOUT
from tests.e2e.support import Answer, Installation
from tests.faults.support.sockets import Events, Terminal


class Asked:
    """A helper process that answers one JSON line for each line it is sent."""

    def __init__(self, command: list[str], environment: dict[str, str], cwd: Path, user: str | None = None):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=cwd,
            text=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )

    def ask(self) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the helper process ended"
        return json.loads(line)

    def close(self) -> None:
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


class Stack:
    """Use `stack(installation)`: it ends the helper processes."""

    def __init__(self, wadah: Installation, kernel: Asked, sums: Asked):
        self.wadah = wadah
        self._kernel = kernel
        self._sums = sums

    # processes -------------------------------------------------------------------------------------

    def processes(self) -> dict[str, int | None]:
        """Role to pid; None while the supervisor starts it again."""
        document = json.loads((self.wadah.home / "run" / "processes.json").read_text())
        return {
            one["role"]: one["pid"] if one["pid"] and Path(f"/proc/{one['pid']}").exists() else None
            for one in document["processes"]
        }

    def pid(self, role: str) -> int:
        pid = self.processes()[role]
        assert pid is not None, f"{role} does not run"
        return pid

    def children(self, role: str) -> list[int]:
        """Pids of a worker's pool processes."""
        pid = self.pid(role)
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill(self, role: str) -> int:
        """kill -9; the pid it had. A role that is just being started again is waited for."""
        pid = int(self.wadah.wait(lambda: self.processes().get(role), 60))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def kill_child(self, role: str) -> None:
        """kill -9 of every pool process of a worker; the worker itself lives on."""
        for pid in self.children(role):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_back(self, role: str, before: int, seconds: float = 60) -> int:
        return int(self.wadah.wait(lambda: (p := self.processes()[role]) not in (None, before) and p, seconds))

    @contextmanager
    def frozen(self, role: str) -> Iterator[None]:
        """SIGSTOP, its pool processes included: it hangs, and nothing notices by a closed socket."""
        pids = [self.pid(role), *self.children(role)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextmanager
    def held_down(self, role: str) -> Iterator[None]:
        """kill -9, and the supervisor doesn't start it again until the end.

        It is dead when this begins: while the kernel still takes a killed process apart, its connections are
        open, and Redis hands it a message that nobody sees again.
        """
        supervisor = int((self.wadah.home / "run" / "supervisor.pid").read_text())
        os.kill(supervisor, signal.SIGSTOP)
        before = self.pid(role)
        pids = [before, *self.children(role)]
        try:
            os.kill(before, signal.SIGKILL)
            self.wadah.wait(lambda: all(_is_dead(pid) for pid in pids), 20)
            yield
        finally:
            os.kill(supervisor, signal.SIGCONT)
            self.wait_back(role, before)

    def kill_init(self, environment: str) -> None:
        pid = self.kernel()["environments"][environment]["pid"]
        assert pid, "it doesn't run"
        os.kill(pid, signal.SIGKILL)

    # as people see it ----------------------------------------------------------------------------

    @contextmanager
    def terminal(self, environment: str, name: str = "") -> Iterator[Terminal]:
        """A root shell of its own in the environment."""
        name = name or f"t{uuid.uuid4().hex[:8]}"
        url = f"{self._ws}/ws/environments/{environment}/terminals/{name}"
        terminal = Terminal(url, self.wadah.token)
        terminal.open()
        try:
            yield terminal
        finally:
            terminal.close()

    @contextmanager
    def events(self) -> Iterator[Events]:
        made = Events(f"{self._ws}/ws/events", self.wadah.token)
        made.open()
        try:
            yield made
        finally:
            made.close()

    @property
    def _ws(self) -> str:
        return self.wadah.url.replace("http://", "ws://")

    def outside(self, path: str) -> Answer:
        """Without any sign-in."""
        return _get(urllib.request.build_opener(), f"{self.wadah.url}{path}")

    def page(self, path: str) -> Answer:
        """A page as the administrator's browser gets it."""
        return _get(self._browser, f"{self.wadah.url}{path}")

    @cached_property
    def _browser(self) -> urllib.request.OpenerDirector:
        jar = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        url = f"{self.wadah.url}/accounts/login/"
        form = _get(opener, url).body
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert found, form
        values = {
            "csrfmiddlewaretoken": found.group(1),
            "login": self.wadah.username,
            "password": self.wadah.password,
        }
        request = urllib.request.Request(url, urllib.parse.urlencode(values).encode(), {"Referer": url})
        with opener.open(request, timeout=30) as answer:
            assert "/accounts/login" not in answer.url, "the sign-in was refused"
        return opener

    # what lies beneath -----------------------------------------------------------------------------

    @property
    def broker(self) -> "redis.Redis":
        home = self.wadah.home
        password = (home / "etc" / "redis-admin.password").read_text().strip()
        return redis.Redis(
            unix_socket_path=str(home / "run" / "redis.sock"), username="admin", password=password
        )

    @property
    def node_name(self) -> str:
        return str(json.loads((self.wadah.home / "node" / "node.json").read_text())["name"])

    def kernel(self) -> dict[str, Any]:
        """What the node's records and the kernel hold, read in a process of its own."""
        for _ in range(20):
            seen: dict[str, Any] = self._kernel.ask()
            if "again" not in seen:
                return seen
            time.sleep(0.05)
        raise AssertionError(f"the node can't be looked at: {seen}")

    def sums(self) -> list[str]:
        """What the database's own sums lack, from `manage.py consistency`."""
        found: list[str] = self._sums.ask()
        return found

    def environments(self) -> list[dict[str, Any]]:
        """Every living environment, as the API shows it."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.wadah.call("GET", f"/environments?limit=200&offset={len(found)}")
            assert answer.status == 200, answer.body
            found += answer.body["items"]
            if not answer.body["items"] or len(found) >= answer.body["count"]:
                return found


def _is_dead(pid: int) -> bool:
    """Reaped, or all that it had is closed already."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _get(opener: urllib.request.OpenerDirector, url: str) -> Answer:
    try:
        with opener.open(url, timeout=60) as answer:
            return Answer(answer.status, answer.read().decode(), dict(answer.headers))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(), dict(error.headers))


@contextmanager
def stack(wadah: Installation) -> Iterator[Stack]:
    home = wadah.home
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("WADAH_", "DJANGO_"))}
    panel = {
        **outside,
        "PYTHONPATH": str(home / "app"),
        "WADAH_HOME": str(home),
        "WADAH_URL": wadah.url,
        "DJANGO_SETTINGS_MODULE": "panel.config.settings",
        **({"DATABASE_URL": os.environ["DATABASE_URL"]} if "DATABASE_URL" in os.environ else {}),
    }
    user = "wadah" if "wadah" in {entry.pw_name for entry in pwd.getpwall()} else None
    with ExitStack() as undo:
        kernel = Asked(
            [sys.executable, "-m", "tests.faults.support.observer", str(home)],
            {**outside, "PYTHONPATH": str(CHECKOUT)},
            CHECKOUT,
        )
        undo.callback(kernel.close)
        command = [str(home / "venv" / "bin" / "python"), str(home / "app" / "manage.py"), "consistency"]
        sums = Asked([*command, "--repeat"], panel, home / "app", user)
        undo.callback(sums.close)
        yield Stack(wadah, kernel, sums)
