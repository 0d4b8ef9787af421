"""The processes of an installation: what each runs, as whom, and when it is ready."""

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from runtime.host.autogroup import ANSWERS
from runtime.install import connection_limits, registry_config
from runtime.install import domains as domains_
from runtime.install.caddyfile import Upstreams, caddyfile, site_of
from runtime.install.files import put
from runtime.install.front import FIRST_FREE_PORT, Front
from runtime.install.host import DOMAINS_USER, USER, ids
from runtime.install.layout import Layout
from runtime.install.output import Stop
from runtime.install.redis_config import share_report_key, write_redis

#: Requests with an archive that are listened to at once: more than are taken in, of every kind, and than are
#: only heard out, so that some are left for whoever comes next (`tests/panel/reliability/test_taken_in.py`).
UPLOADS_AT_ONCE = 48


@dataclass(frozen=True)
class Role:
    name: str
    command: list[str]
    root: bool = False
    ready: Path | None = None
    """A socket that is there when it is ready; removed before it starts."""
    stop_s: float = 10.0
    """From SIGTERM to SIGKILL."""
    user: str = USER
    """Who it runs as, where that isn't root."""
    nice: int = 0
    """Of its session among all (`runtime.host.autogroup`)."""


def environment(layout: Layout, front: Front) -> dict[str, str]:
    """What every process of ours sees; a setting of the operator's own is passed on."""
    kept = {key: value for key, value in os.environ.items() if key.startswith(("WADAH_", "DATABASE_URL"))}
    return {
        **kept,
        "PATH": f"{layout.venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(layout.home / "front"),
        "XDG_DATA_HOME": str(layout.home / "front"),
        "XDG_CONFIG_HOME": str(layout.home / "front"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(layout.app),
        "DJANGO_SETTINGS_MODULE": "panel.config.settings",
        "WADAH_HOME": str(layout.home),
        "WADAH_URL": front.url,
        "WADAH_SSH": front.ssh,
        "WADAH_EXTRA_HOSTS": ",".join(front.hosts),
        "WADAH_TRUSTED_PROXIES": ",".join(front.proxies),
        "WADAH_DOMAINS_LISTEN": ",".join(front.domains),
        "WADAH_DOMAINS_PORTS": ",".join(map(str, front.domains_ports)),
    }


def roles(layout: Layout, front: Front) -> list[Role]:
    """In the order of starting; stopping goes backwards."""
    run, venv = layout.run, layout.venv / "bin"
    home = str(layout.home)
    wanted = [
        Role(
            "redis",
            ["redis-server", str(layout.etc / "redis.conf")],
            ready=run / "redis.sock",
            nice=ANSWERS,
        ),
        Role(
            "agent",
            [str(venv / "python"), "-m", "runtime.agent", "--home", home],
            root=True,
            ready=run / "agent.sock",
            nice=ANSWERS,
        ),
        Role(
            "node-worker",
            [str(venv / "python"), "-m", "runtime.worker", "--home", home],
            root=True,
            stop_s=40,
        ),
        Role(
            "node-slow",
            [str(venv / "python"), "-m", "runtime.worker", "--home", home, "--slow"],
            root=True,
            stop_s=10,
        ),
        Role(
            "panel-worker",
            [str(venv / "celery"), "-A", "panel.config.celery", "worker", "-Q", "panel,reports", "-c", "2",
             "-n", "panel@local", "-l", "warning", "--without-gossip", "--without-mingle",
             "--without-heartbeat"],
        ),
        Role(
            "beat",
            [str(venv / "celery"), "-A", "panel.config.celery", "beat", "-l", "warning", "--pidfile="],
        ),
        Role(
            "web",
            [str(venv / "granian"), "--interface", "asginl", "--uds", str(run / "web.sock"),
             "--uds-permissions", "432", "--workers", "2", "--no-ws", "--backlog", "4096",
             "--respawn-failed-workers", "--log-level", "warning", "panel.config.web:application"],
            ready=run / "web.sock",
            nice=ANSWERS,
        ),
        Role(  # whoever sends an archive slowly holds a thread of this one only
            "uploads",
            [str(venv / "granian"), "--interface", "wsgi", "--uds", str(run / "uploads.sock"),
             "--uds-permissions", "432", "--workers", "1", "--blocking-threads", str(UPLOADS_AT_ONCE),
             "--no-ws", "--respawn-failed-workers", "--log-level", "warning", "panel.config.wsgi:application"],
            ready=run / "uploads.sock",
        ),
        Role(
            "ws",
            [str(venv / "python"), "-m", "panel.live.server", str(run / "ws.sock")],
            ready=run / "ws.sock",
            nice=ANSWERS,
        ),
        *(_registry(layout) if registry_config.is_there() else []),
        Role(
            "front",
            ["caddy", "run", "--config", str(layout.etc / "Caddyfile"), "--adapter", "caddyfile"],
            nice=ANSWERS,
        ),
    ]  # fmt: skip
    if front.domains:
        wanted += _of_domains(layout, front)
    if front.ssh_place is not None:
        address, port = front.ssh_place
        words = [str(venv / "python"), "-m", "panel.gateway", address, str(port)]
        wanted.append(Role("gateway", words))
    if _node_settings(layout).get("backup_server"):
        words = [str(venv / "python"), "-m", "runtime.backup_server", "--home", home]
        wanted.append(Role("backup-server", words, root=True))
    if os.environ.get("WADAH_REDIS_URL"):
        wanted = [role for role in wanted if role.name != "redis"]
    return wanted


def _registry(layout: Layout) -> list[Role]:
    """The registry of the installation, and what counts and holds back who writes to it."""
    gate = layout.run / "registry-gate.sock"
    return [
        Role(
            "registry",
            ["docker-registry", "serve", str(layout.etc / "registry.yml")],
            ready=layout.run / "registry.sock",
        ),
        Role(
            "registry-gate",
            [str(layout.venv / "bin" / "granian"), "--interface", "asgi", "--uds", str(gate),
             "--uds-permissions", "432", "--workers", "1", "--no-ws", "--respawn-failed-workers",
             "--log-level", "warning", "panel.repositories.gate:application"],
            ready=gate,
        ),
    ]  # fmt: skip


def _of_domains(layout: Layout, front: Front) -> list[Role]:
    """Beside the environments: in tests the node, and they with it, have a network of their own."""
    inside = _node_network(layout)
    python = str(layout.venv / "bin" / "python")
    tls = ["--tls-port", str(front.domains_ports[1])]
    ask = domains_.ask_address(layout)
    return [
        Role(
            "router",
            [*inside, python, "-m", "runtime.router", "--home", str(layout.home), "--ask", ask, *tls],
            ready=layout.home / domains_.SOCKET,
            user=DOMAINS_USER,
        ),
        Role(
            "domains",
            [*inside, "caddy", "run", "--config", str(domains_.file_of(layout))],
            user=DOMAINS_USER,
        ),
    ]


def _node_network(layout: Layout) -> list[str]:
    path = _node_settings(layout).get("network_namespace")
    return ["nsenter", f"--net={path}"] if path else []


def _node_settings(layout: Layout) -> dict[str, Any]:
    """As the operator has them; empty before the node was prepared."""
    try:
        found = json.loads((layout.home / "node" / "node.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def words_of(role: Role, front: Front, *, ends_with_parent: bool = False) -> list[str]:
    """The role's command line as root starts it: the unprivileged ones drop to the panel's user, without
    any capability or way back; only fronts on ports below 1024 keep the right to bind there.

    `ends_with_parent`: gets SIGTERM when its parent dies, so that the next start finds nothing in its way.
    """
    if os.geteuid() != 0:
        return role.command
    words = ["setpriv", *(["--pdeathsig", "TERM"] if ends_with_parent else [])]
    if role.root:
        return [*words, *role.command] if ends_with_parent else role.command
    uid, gid = ids(role.user)
    if role.command[0] == "nsenter":  # as root, before it drops
        words, role = [*role.command[:2], *words], replace(role, command=role.command[2:])
    words += [f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
    if needs_low_port(role, front):
        port = "net_bind_service"
        kept = [f"--bounding-set=-all,+{port}", f"--inh-caps=-all,+{port}", f"--ambient-caps=+{port}"]
        return [*words, *kept, *role.command]
    return [*words, "--bounding-set=-all", "--inh-caps=-all", *role.command]


def needs_low_port(role: Role, front: Front) -> bool:
    if role.name == "domains":
        return min(front.domains_ports) < FIRST_FREE_PORT
    return role.name == "front" and front.has_low_port


def run_one(name: str, layout: Layout, front: Front) -> NoReturn:
    """This process becomes the role `name`, as systemd and containers want it. Raises `Stop` for a name
    that is none."""
    known = {role.name: role for role in roles(layout, front)}
    if name not in known:
        raise Stop(f"there is no role “{name}”", f"One of: {', '.join(known)}.")
    role = known[name]
    if role.ready is not None:
        role.ready.unlink(missing_ok=True)
    seen = environment(layout, front)
    words = words_of(role, front)
    program = shutil.which(words[0], path=seen["PATH"])
    if program is None:
        raise Stop(f"{words[0]} is not installed", "./wadah up installs what is missing.")
    if name == "front" and os.geteuid() == 0:
        sys.stderr.write(connection_limits.bound(layout))
    os.umask(0o027)
    os.chdir(layout.app)
    os.execve(program, words, seen)  # noqa: S606


def write_configuration(layout: Layout, front: Front) -> None:
    """Files that Redis and the front are started with; to be called by root before they start, when the
    node is prepared."""
    write_redis(layout)
    share_report_key(layout)
    registry_config.write_registry(layout, front)
    names = ["web.sock", "uploads.sock", "ws.sock"]
    names += ["registry.sock", "registry-gate.sock"] if registry_config.is_there() else []
    upstreams = Upstreams(*(f"unix/{layout.run / name}" for name in names))
    text = caddyfile(site_of(front), upstreams, static=layout.panel / "static", proxies=front.proxies)
    put(layout.etc / "Caddyfile", text, mode=0o640, owner=(0, ids()[1]))
    if front.domains:
        authority = domains_.Authority.said()
        if authority.root:
            put(domains_.root_copy(layout), Path(authority.root).read_text())
        text = domains_.caddy_document(layout, front, authority)
        put(domains_.file_of(layout), text)
    put(
        connection_limits.file_of(layout),
        connection_limits.rules(connection_limits.table_of(layout), front, connection_limits.most()),
    )
