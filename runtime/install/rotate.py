"""`rotate`: new keys for everything that has one, in place of the old ones."""

import http.client
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from runtime.install import home_check, restoring
from runtime.install.front import front_of
from runtime.install.layout import Layout
from runtime.install.output import Stop, line
from runtime.install.panel import ask, manage, wait_until_ready
from runtime.install.roles import roles, write_configuration
from runtime.install.up import give_ticket_key, start_supervisor, stop_processes

#: In the order of the work.
PARTS = ("panel", "node", "redis", "certificate")
#: An invitation is good for a week; nothing that the signing key signs is asked for later.
WINDOW_HOURS = 168.0


def rotate(layout: Layout, parts: tuple[str, ...] = PARTS, window_hours: float = WINDOW_HOURS) -> None:
    """Stops the panel's processes, exchanges the keys of these parts and starts what ran. Environments go on.

    What the panel's old signing key signed (sessions, invitations, links in mails) is believed for
    `window_hours` more, 0: no more at all; every other old key is useless at once. Interrupted, the next `up`
    or `rotate` goes on with whatever was exchanged. Raises `Stop` where there is no installation.
    """
    if os.geteuid() != 0:
        raise Stop("`rotate` needs root", "sudo ./wadah rotate")
    if not home_check.is_installation(layout) or not (layout.panel / "secrets.json").exists():
        raise Stop(f"there is no installation in {layout.home}", "Run `./wadah up` first, or give --home.")
    front = front_of(layout)
    with home_check.alone(layout):
        restoring.refuse(layout)
        ran = stop_processes(layout)
        refuse_supervised_elsewhere(layout)
        if "panel" in parts:
            said = manage(layout, front, "rotate", "--window-hours", str(window_hours))
            give_ticket_key(layout)
            line(f"keys of the panel ({said.strip()})")
        if "node" in parts:
            (layout.home / "node" / "report.key").unlink(missing_ok=True)
            line("key of the node's reports")
        if "redis" in parts:
            for file in (*layout.etc.glob("redis-*.password"), layout.home / "node" / "redis.password"):
                file.unlink(missing_ok=True)
            line("passwords of Redis")
        write_configuration(layout, front)
        if "certificate" in parts:
            for kept in ("certificates", "pki"):
                with suppress(FileNotFoundError):
                    shutil.rmtree(layout.home / "front" / "caddy" / kept)
            line("certificate of the front")
        if not ran:
            line("nothing was started, since nothing ran")
            return
        start_supervisor(layout, front)
        wait_until_ready(layout, front)
        line("front, web, workers, node agent")


def refuse_supervised_elsewhere(layout: Layout) -> None:
    """Raises `Stop` where anything of it answers though we have stopped it."""
    if _answers(layout):
        raise Stop(
            "the panel runs under somebody else's supervision",
            "`systemctl stop wadah.target` first, and start it again when this is done.",
        )


def _answers(layout: Layout) -> bool:
    sockets = [role.ready for role in roles(layout, front_of(layout)) if role.ready is not None]
    if any(_is_listened_to(one) for one in sockets):
        return True
    try:
        return ask(layout, "/healthz")[0] > 0
    except (OSError, http.client.HTTPException):
        return False


def _is_listened_to(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(2.0)
        try:
            one.connect(str(path))
        except BlockingIOError:
            return True  # its queue is full
        except OSError:
            return False
    return True
