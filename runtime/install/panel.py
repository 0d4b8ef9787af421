"""The panel as `up` uses it: management commands, the first administrator, the demo, and asking it."""

import http.client
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.install.front import Front, front_of
from runtime.install.host import ids, run
from runtime.install.layout import Layout
from runtime.install.output import Stop, line
from runtime.install.roles import environment

READY_DEADLINE_S = 180.0
DEMO_DEADLINE_S = 60.0


def manage(layout: Layout, front: Front, *words: str, timeout_s: float = 180, **more: str) -> str:
    """A management command of the panel, as the panel's user, with `more` in its environment. Its output."""
    uid, gid = ids()
    return run(
        ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs", layout.python,
         str(layout.app / "manage.py"), *words],
        timeout_s=timeout_s,
        environment={**environment(layout, front), **more},
        cwd=layout.app,
    )  # fmt: skip


class _Socket(http.client.HTTPConnection):
    """HTTP over a unix socket: past the front, so that its certificate doesn't matter."""

    def __init__(self, path: Path, timeout_s: float):
        super().__init__("127.0.0.1", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(layout: Layout, path: str, *, token: str = "", timeout_s: float = 5) -> tuple[int, Any]:
    """Status and document of a GET. Raises `OSError` or `HTTPException` while the panel is away."""
    connection = _Socket(layout.run / "web.sock", timeout_s)
    host = urlsplit(front_of(layout).url).netloc
    headers = {"Accept": "application/json", "Host": host}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(text) if text.lstrip().startswith((b"{", b"[")) else text.decode()


def wait_until_ready(layout: Layout, front: Front) -> None:
    """Until the panel answers and its front listens. Raises `Stop` with the end of the late one's log."""
    until = time.monotonic() + READY_DEADLINE_S
    late = "web"
    while time.monotonic() < until:
        try:
            if late == "web":
                ask(layout, "/healthz")
                late = "front"
            host, port = front.listening[0]
            socket.create_connection((host or "127.0.0.1", port), timeout=2).close()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return
    log = layout.log / f"{late}.log"
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    raise Stop(
        f"{late} did not answer within {READY_DEADLINE_S:.0f} s" + (f": {last[0][:300]}" if last else ""),
        f"See {log}.",
    )


def bootstrap(layout: Layout, front: Front) -> dict[str, str]:
    """The administrator's account, the first plans and the image catalogue; what admin.json holds then.

    The password is known to that file only.
    """
    known = known_admin(layout)
    password = known.get("password") or "-".join(secrets.token_hex(3) for _ in range(3))
    said = manage(
        layout, front, "bootstrap",
        WADAH_ADMIN_PASSWORD=password, WADAH_ADMIN_TOKEN=known.get("token", ""),
    )  # fmt: skip
    answer = json.loads(said.strip().splitlines()[-1])
    admin = {
        "url": front.url,
        "username": answer["username"],
        "password": answer.get("password") or password,
        "token": answer.get("token") or known.get("token", ""),
    }
    if admin != known:
        temporary = layout.admin_file.with_suffix(".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(json.dumps(admin, indent=2) + "\n")
        temporary.rename(layout.admin_file)
    return admin


def known_admin(layout: Layout) -> dict[str, str]:
    """What admin.json holds; empty before the first time."""
    try:
        known: dict[str, str] = json.loads(layout.admin_file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known


def knows_token(layout: Layout, token: str) -> bool:
    """Whether the panel, which runs, takes this token."""
    try:
        return bool(token) and ask(layout, "/api/v1/environments?limit=1", token=token)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def demo(layout: Layout, front: Front, token: str) -> None:
    """Makes the demo tenant with its environment where there is none, and says how it fares."""
    if _hello(layout, token) is None:
        try:
            manage(layout, front, "demo")
        except Stop as stop:
            line(f"demo environment: {str(stop).splitlines()[-1]}", "!")
            return
    until = time.monotonic() + DEMO_DEADLINE_S
    state = "unknown"
    while time.monotonic() < until:
        state = _hello(layout, token) or "missing"
        if state in ("running", "stopped", "paused", "failed"):
            break
        time.sleep(0.2)
    line(f"demo environment “hello”: {state}", "✓" if state == "running" else "!")


def _hello(layout: Layout, token: str) -> str | None:
    """State of the demo environment; None when there is none, or the panel is away."""
    try:
        status, answer = ask(layout, "/api/v1/environments?name=hello&tenant=demo", token=token)
    except (OSError, http.client.HTTPException):
        return None
    items = answer["items"] if status == 200 else []
    return str(items[0]["state"]) if items else None
