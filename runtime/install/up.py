"""`up`: from a bare machine to a running panel, and the same again without changing anything."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from runtime.install import home_check, python, restoring
from runtime.install.backports import install_runsc
from runtime.install.files import append
from runtime.install.front import Front, Wish, check_free, front_of, keep
from runtime.install.host import (
    DOMAINS_USER,
    KERNEL_PACKAGES,
    NODE_PACKAGES,
    PANEL_PACKAGES,
    ensure_user,
    install_packages,
    run,
    there,
)
from runtime.install.layout import CHECKOUT, DEFAULT_HOME, Layout
from runtime.install.output import Stop, line, plain, problem
from runtime.install.panel import bootstrap, known_admin, knows_token, manage, wait_until_ready
from runtime.install.panel import demo as show_demo
from runtime.install.roles import environment, write_configuration
from runtime.install.supervisor import running, running_front, running_pid

IMAGES = ("busybox", "debian-12")
_Build = tuple[str, "subprocess.Popen[str]"]


def up(
    layout: Layout,
    *,
    detach: bool = False,
    wish: Wish = Wish(),  # noqa: B008 (frozen)
    demo: bool = True,
    node_netns: str | None = None,
    images: str | None = None,
    networks: tuple[str, str] = ("", ""),
    pool: tuple[str, bool] = ("", False),
    kernels: Collection[str] = (),
) -> None:
    """Raises `Stop` with one sentence and the remedy when the machine can't do it."""
    if os.geteuid() != 0:
        raise Stop("`up` needs root: it makes namespaces, mounts and users", "sudo ./wadah up")
    _end_by_signals()
    home_check.check(layout)
    front = front_of(layout, wish)
    _check_free(layout, front)
    with home_check.alone(layout):
        of_kernels = KERNEL_PACKAGES["own"] if "own" in kernels else {}
        installed = install_packages({**NODE_PACKAGES, **PANEL_PACKAGES, **of_kernels})
        installed += install_runsc() if "guarded" in kernels else []
        line(f"packages ({', '.join(installed)})" if installed else "packages")
        ensure_user()
        if front.domains:
            ensure_user(DOMAINS_USER)
        layout.make(has_domains=bool(front.domains))
        keep(layout, wish)
        wanted = images.split(",") if images else IMAGES
        with _undone_on_failure(layout) as builds:
            admin = _bring_up(layout, front, _of_node(node_netns, networks, pool), wanted, builds)
        if demo:
            show_demo(layout, front, admin["token"])
    _greet(layout, front, admin)
    if not detach:
        _stay(layout, front)


def _end_by_signals() -> None:
    """SIGTERM and the end of the terminal end it as Ctrl-C does, so that what was begun is undone."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            signal.signal(number, interrupt)


def _check_free(layout: Layout, front: Front) -> None:
    """What runs here already listens there itself. Raises `Stop` when another does."""
    before = running_front(layout)
    if running_pid(layout) is None or (before is not None and before.listening != front.listening):
        check_free(front)


def _bring_up(
    layout: Layout, front: Front, of_node: dict[str, str], images: Sequence[str], builds: "list[_Build]"
) -> dict[str, str]:
    """Everything from code to running processes; what admin.json holds then."""
    restoring.refuse(layout)
    changed = python.ensure(layout.venv, CHECKOUT / "requirements" / "panel.lock")
    line("Python environment")
    vendor(layout)
    changed |= layout.copy_code()
    line("code and web files")
    _prepare_node(layout, front, of_node)
    builds += [_build_image(layout, front, name) for name in images]
    if running_pid(layout) is not None and (changed or running_front(layout) != front):
        stop_processes(layout)
    write_configuration(layout, front)
    _prepare_panel(layout, front)
    line("database")
    if running_pid(layout) is None:
        start_supervisor(layout, front)
    wait_until_ready(layout, front)
    line("front, web, workers, node agent")
    admin = known_admin(layout)
    if changed or admin.get("url") != front.url or not knows_token(layout, admin.get("token", "")):
        admin = bootstrap(layout, front)
    for name, build in builds:
        _finish_build(layout, name, build)
    return admin


@contextmanager
def _undone_on_failure(layout: Layout) -> "Iterator[list[_Build]]":
    """Collects image builds; when the body fails or is interrupted, they are ended, and so are processes
    that weren't running before."""
    ran = running_pid(layout) is not None
    builds: list[_Build] = []
    try:
        yield builds
    except BaseException:
        for _, build in builds:
            if build.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(build.pid, signal.SIGTERM)
        if not ran:
            stop_processes(layout)
        raise


# steps --------------------------------------------------------------------------------------------


def vendor(layout: Layout) -> None:
    """Front-end packages from npm into static/vendor; a release has them already. Where the machine has no npm,
    one comes from the Python index: in seconds, where Debian's brings some 350 packages along."""
    if not (CHECKOUT / "panel" / "config" / "vendor.py").exists():
        return
    if not there("npm"):
        python.ensure(layout.venv, CHECKOUT / "requirements" / "npm.lock", beside=True)
    run([layout.python, "-m", "panel.config.vendor"], timeout_s=600, cwd=CHECKOUT, log=layout.log / "up.log",
        environment={**os.environ, "PYTHONPATH": str(CHECKOUT)})  # fmt: skip


def _of_node(node_netns: str | None, networks: tuple[str, str], pool: tuple[str, bool]) -> dict[str, str]:
    """What a new node is told, as `prepare` reads it."""
    (ipv4, ipv6), (device, preallocates) = networks, pool
    said = {
        "WADAH_NODE_NETNS": node_netns or "",
        "WADAH_NODE_IPV4_NETWORK": ipv4,
        "WADAH_NODE_IPV6_NETWORK": ipv6,
        "WADAH_NODE_POOL_DEVICE": device,
        "WADAH_NODE_POOL_PREALLOCATE": "1" if preallocates else "",
    }
    return {name: value for name, value in said.items() if value}


def _prepare_node(layout: Layout, front: Front, of_node: dict[str, str]) -> None:
    said = run(
        [layout.python, "-m", "runtime.cli", "--home", str(layout.home), "prepare"],
        timeout_s=3600 if "WADAH_NODE_POOL_PREALLOCATE" in of_node else 180,
        environment={**environment(layout, front), **of_node},
        cwd=layout.app,
        log=layout.log / "up.log",
    )
    for one in said.strip().splitlines():
        line(one)
    line("node")


def _build_image(layout: Layout, front: Front, name: str) -> "_Build":
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


def _prepare_panel(layout: Layout, front: Front) -> None:
    """Database and static files of this version; the static ones only when code or packages changed."""
    stamp = layout.etc / "static.stamp"
    wanted = (layout.app / ".stamp").read_text() + (layout.venv / "lock.sha256").read_text()
    is_current = stamp.exists() and stamp.read_text() == wanted
    manage(layout, front, "prepare", *(["--keep-static"] if is_current else []))
    stamp.write_text(wanted)
    give_ticket_key(layout)


def give_ticket_key(layout: Layout) -> None:
    target = layout.home / "node" / "panel-ticket.pub"
    key = (layout.panel / "ticket.pub").read_bytes()
    if not target.exists() or target.read_bytes() != key:
        target.write_bytes(key)
        target.chmod(0o600)


def start_supervisor(layout: Layout, front: Front) -> None:
    """Starts every process of the installation; returns before they are ready. Raises `Stop` where a
    restore was cut off."""
    restoring.refuse(layout)
    with append(layout.log / "supervisor.log") as log:
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "runtime.install",
                "supervise",
                str(layout.home),
                json.dumps(front.as_document()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.app,
            env=environment(layout, front),
            start_new_session=True,
        )


def _greet(layout: Layout, front: Front, admin: dict[str, str]) -> None:
    plain()
    plain(f"Open     {front.url}" + ("   (self-signed certificate)" if front.internal_tls else ""))
    if front.is_local and front.url == front.own:
        plain(f"         from another machine: {front.tunnel}, and open the same address there")
    if front.url != front.own and front.own and not front.proxies:
        plain("         no --proxy is named: everybody who comes by a proxy has the proxy's address")
    plain(f"Sign in  {admin['username']} / {admin['password']}     (also in {layout.admin_file})")
    home = "" if str(layout.home) == DEFAULT_HOME else f" --home {shlex.quote(str(layout.home))}"
    plain(f"Stop: ./wadah down{home}     Remove every trace: ./wadah down --purge{home}")
    plain(f"Look: ./wadah status{home}   Check the machine: ./wadah doctor{home}")


def _stay(layout: Layout, front: Front) -> None:
    """In the foreground until Ctrl-C, SIGTERM, the end of the terminal or `down`; environments go on running.
    A supervisor that was killed, and its processes with it, is started again."""
    plain("Ctrl-C stops the panel; environments go on running.")
    try:
        while True:
            time.sleep(0.5)
            if running_pid(layout) is not None:
                continue
            if not layout.supervisor_file.exists():
                line("the panel was stopped from elsewhere; environments go on running")
                return
            problem("the supervisor was killed; started again")
            start_supervisor(layout, front)
            time.sleep(5)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        plain()
        stop_processes(layout)
        line("stopped; environments go on running")


def stop_processes(layout: Layout) -> bool:
    """Stops every process of the installation, leaving environments; False when none ran."""
    supervisor = running(layout)
    if supervisor is None:
        return False
    supervisor.send(signal.SIGTERM)
    until = time.monotonic() + 90
    while supervisor.lives and time.monotonic() < until:
        time.sleep(0.05)
    if supervisor.lives:
        raise Stop("the supervisor did not stop within 90 s", f"See {layout.log}/supervisor.log.")
    return True
