"""`up`: from a bare machine to a running panel, and the same again without changing anything."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from runtime.install import python
from runtime.install.files import append
from runtime.install.host import (
    NODE_PACKAGES,
    PANEL_PACKAGES,
    ensure_user,
    ids,
    install_packages,
    run,
)
from runtime.install.layout import CHECKOUT, Layout
from runtime.install.roles import Front, environment, write_configuration
from runtime.install.say import Stop, line, plain, problem
from runtime.install.supervisor import running_pid

IMAGES = ("busybox", "debian-12")
DEMO_DEADLINE_S = 60.0


def up(
    layout: Layout,
    *,
    detach: bool = False,
    port: int | None = None,
    demo: bool = True,
    domain: str | None = None,
    listen: str | None = None,
    node_netns: str | None = None,
    images: str | None = None,
) -> None:
    """Raises `Stop` with one sentence and the remedy when the machine can't do it."""
    if os.geteuid() != 0:
        raise Stop("`up` needs root: it makes namespaces, mounts and users", "sudo ./wadah up")
    _check_free_space(layout.home)
    installed = install_packages({**NODE_PACKAGES, **PANEL_PACKAGES})
    line(f"packages ({', '.join(installed)})" if installed else "packages")
    ensure_user()
    layout.make()
    front = front_of(layout, port, domain, listen)
    if running_pid(layout) is None:
        _check_port(front)
    changed = python.ensure(layout.venv, CHECKOUT / "requirements" / "panel.lock")
    line("Python environment")
    vendor(layout)
    changed |= layout.copy_code()
    line("code and web files")
    _prepare_node(layout, front, node_netns)
    builds = [_build_image(layout, front, name) for name in (images.split(",") if images else IMAGES)]
    if changed and running_pid(layout) is not None:
        stop_processes(layout)
    write_configuration(layout, front)
    manage(layout, front, "prepare")
    give_ticket_key(layout)
    line("database")
    if running_pid(layout) is None:
        _start_supervisor(layout, front)
    _wait_until_ready(layout, front)
    line("front, web, workers, node agent")
    admin = bootstrap(layout, front)
    for name, build in builds:
        _finish_build(layout, name, build)
    if demo:
        _demo(layout, front, admin)
    _greet(layout, front, admin)
    if not detach:
        _stay(layout, front)


# steps --------------------------------------------------------------------------------------------


def _check_free_space(home: Path) -> None:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < 2 * 2**30:
        raise Stop(
            f"{place} has {free / 2**30:.1f} GiB free; 2 GiB are needed", "Free some space, or use --home."
        )


def front_of(
    layout: Layout, port: int | None = None, domain: str | None = None, listen: str | None = None
) -> Front:
    """From the options, else from the last time, else http on loopback."""
    known: dict[str, Any] = {}
    if layout.settings_file.exists():
        known = json.loads(layout.settings_file.read_text())
    given = {"port": port, "domain": domain, "listen": listen}
    wanted = known | {key: value for key, value in given.items() if value}
    if wanted != known:
        layout.settings_file.write_text(json.dumps(wanted))
    known = wanted
    if known.get("domain"):
        return Front(url=f"https://{known['domain']}", site=str(known["domain"]))
    if known.get("listen"):
        address = f"{known['listen']}:{known.get('port', 8443)}"
        return Front(url=f"https://{address}", site=f"https://{address}", internal_tls=True)
    number = known.get("port", 8080)
    return Front(url=f"http://127.0.0.1:{number}", site=f"http://127.0.0.1:{number}")


def _check_port(front: Front) -> None:
    host, _, number = front.url.partition("://")[2].partition(":")
    if not number:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(number)))
        except OSError as taken:
            raise Stop(
                f"port {number} on {host} can't be used: {taken.strerror}",
                "Choose another: ./wadah up --port N",
            ) from taken


def vendor(layout: Layout) -> None:
    """Front-end packages from npm into static/vendor; a release has them already."""
    if not (CHECKOUT / "panel" / "config" / "vendor.py").exists():
        return
    run([layout.python, "-m", "panel.config.vendor"], timeout_s=600, cwd=CHECKOUT, log=layout.log / "up.log",
        environment={**os.environ, "PYTHONPATH": str(CHECKOUT)})  # fmt: skip


def _prepare_node(layout: Layout, front: Front, node_netns: str | None) -> None:
    extra = {"WADAH_NODE_NETNS": node_netns} if node_netns else {}
    said = run(
        [layout.python, "-m", "runtime.cli", "--home", str(layout.home), "prepare"],
        timeout_s=180,
        environment={**environment(layout, front), **extra},
        cwd=layout.app,
        log=layout.log / "up.log",
    )
    for one in said.strip().splitlines():
        line(one)
    line("node")


def _build_image(layout: Layout, front: Front, name: str) -> tuple[str, "subprocess.Popen[str]"]:
    """Starts now, beside everything else."""
    process = subprocess.Popen(
        [layout.python, "-m", "runtime.cli", "--home", str(layout.home), "image", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(layout, front),
        cwd=layout.app,
        text=True,
        start_new_session=True,
    )
    return name, process


def _finish_build(layout: Layout, name: str, process: "subprocess.Popen[str]") -> None:
    last = ""
    assert process.stdout is not None
    for text in process.stdout:
        last = text.strip()
        if sys.stdout.isatty():
            print(f"\r   image {name}: {last:<60}", end="", flush=True)
        elif "%" in last:
            plain(f"   image {name}: {last}")
    if sys.stdout.isatty():
        print("\r", end="")
    if process.wait() != 0:
        problem(f"image {name} could not be built: {last}")
    else:
        line(f"image {name}")


def manage(layout: Layout, front: Front, *words: str, timeout_s: float = 180) -> str:
    """A management command of the panel, as the panel's user. Its output."""
    uid, gid = ids()
    return run(
        ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs", layout.python,
         str(layout.app / "manage.py"), *words],
        timeout_s=timeout_s,
        environment=environment(layout, front),
        cwd=layout.app,
    )  # fmt: skip


def give_ticket_key(layout: Layout) -> None:
    target = layout.home / "node" / "panel-ticket.pub"
    key = (layout.panel / "ticket.pub").read_bytes()
    if not target.exists() or target.read_bytes() != key:
        target.write_bytes(key)
        target.chmod(0o600)


def _start_supervisor(layout: Layout, front: Front) -> None:
    with append(layout.log / "supervisor.log") as log:
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "runtime.install",
                "supervise",
                str(layout.home),
                json.dumps(front.__dict__),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.app,
            env=environment(layout, front),
            start_new_session=True,
        )


def _request(front: Front, path: str, *, token: str = "", timeout_s: float = 5) -> Any:
    request = urllib.request.Request(front.url + path, headers={"Accept": "application/json"})  # noqa: S310
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        body = answer.read()
    return json.loads(body) if body.strip().startswith((b"{", b"[")) else body.decode()


def _wait_until_ready(layout: Layout, front: Front) -> None:
    until = time.monotonic() + 60
    reason = ""
    while time.monotonic() < until:
        if front.internal_tls or front.url.startswith("https"):
            if (layout.run / "web.sock").exists():
                return
        else:
            try:
                _request(front, "/healthz")
                return
            except (OSError, ValueError) as error:
                reason = str(error)
        time.sleep(0.1)
    raise Stop(f"the panel did not answer within 60 s ({reason})", f"See {layout.log}/web.log and front.log.")


def bootstrap(layout: Layout, front: Front) -> dict[str, str]:
    """The administrator's account; its password is only known to admin.json."""
    known: dict[str, str] = {}
    if layout.admin_file.exists():
        known = json.loads(layout.admin_file.read_text())
    password = known.get("password") or "-".join(secrets.token_hex(3) for _ in range(3))
    os.environ["WADAH_ADMIN_PASSWORD"] = password
    os.environ["WADAH_ADMIN_TOKEN"] = known.get("token", "")
    try:
        said = manage(layout, front, "bootstrap")
    finally:
        del os.environ["WADAH_ADMIN_PASSWORD"], os.environ["WADAH_ADMIN_TOKEN"]
    answer = json.loads(said.strip().splitlines()[-1])
    admin = {
        "url": front.url,
        "username": answer["username"],
        "password": answer.get("password") or password,
        "token": answer.get("token") or known.get("token", ""),
    }
    if admin != known:
        fd = os.open(layout.admin_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(json.dumps(admin, indent=2) + "\n")
    return admin


def _demo(layout: Layout, front: Front, admin: dict[str, str]) -> None:
    manage(layout, front, "demo")
    until = time.monotonic() + DEMO_DEADLINE_S
    state = "unknown"
    while time.monotonic() < until:
        try:
            answer = _request(front, "/api/v1/environments", token=admin["token"])
        except urllib.error.URLError:
            time.sleep(0.3)
            continue
        items = answer.get("items", answer) if isinstance(answer, dict) else answer
        found = [one for one in items if one.get("name") == "hello"]
        state = found[0]["state"] if found else "missing"
        if state in ("running", "stopped", "paused", "failed"):
            break
        time.sleep(0.2)
    line(f"demo environment “hello”: {state}", "✓" if state == "running" else "!")


def _greet(layout: Layout, front: Front, admin: dict[str, str]) -> None:
    plain()
    plain(f"Open     {front.url}" + ("   (self-signed certificate)" if front.internal_tls else ""))
    plain(f"Sign in  {admin['username']} / {admin['password']}     (also in {layout.admin_file})")
    home = "" if str(layout.home) == "/var/lib/wadah" else f" --home {layout.home}"
    plain(
        f"Stop: ./wadah down{home}     Remove every trace: ./wadah down --purge{home}     Check: ./wadah doctor"
    )


def _stay(layout: Layout, front: Front) -> None:
    """In the foreground until Ctrl-C or `down`; environments go on running. A supervisor that was killed, and
    its processes with it, is started again."""
    plain("Ctrl-C stops the panel; environments go on running.")
    try:
        while True:
            time.sleep(1)
            if running_pid(layout) is not None:
                continue
            if not layout.supervisor_file.exists():
                return  # it ended because it was asked to
            problem("the supervisor was killed; started again")
            _start_supervisor(layout, front)
            time.sleep(5)
    except KeyboardInterrupt:
        plain()
        stop_processes(layout)
        line("stopped; environments go on running")


def stop_processes(layout: Layout) -> bool:
    """Stops every process of the installation, leaving environments; False when none ran."""
    pid = running_pid(layout)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 90
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
        if running_pid(layout) is None:
            break
    if running_pid(layout) is not None:
        raise Stop("the supervisor did not stop within 90 s", f"See {layout.log}/supervisor.log.")
    return True
