"""systemd units for an installation: one service a role, held together by a target, each with no more than it
needs. The names of the switches are explained in systemd.exec(5).

While a restore of the panel is at work, and after one that was cut off, none of them starts, by whatever it is
started: an assertion (systemd.unit(5)) says so, where a condition would skip them without a word.
"""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runtime.install import connection_limits, restoring
from runtime.install.files import put
from runtime.install.front import Front
from runtime.install.layout import Layout
from runtime.install.roles import Role, environment, needs_low_port, roles

_TARGET = """[Unit]
Description=Wadah in {home}
AssertPathExists=!{restoring}
Wants={names}

[Install]
WantedBy=multi-user.target
"""
_PREPARE = """[Unit]
Description=Wadah: what the node in {home} needs of this machine
AssertPathExists=!{restoring}
PartOf={target}
Before={names}

[Service]
Type=oneshot
RemainAfterExit=yes
{environment}
WorkingDirectory={app}
ExecStart={python} -m runtime.cli --home {home} prepare
"""
_SERVICE = """[Unit]
Description=Wadah: {role}
AssertPathExists=!{restoring}
PartOf={target}
After=network.target {prepare}{after}
Requires={prepare}
StartLimitIntervalSec=0

[Service]
Type=exec
{environment}
WorkingDirectory={app}
{before}ExecStart={command}
{turn}Restart=always
RestartSec=500ms
TimeoutStopSec={stop_s:.0f}
UMask=0027
{more}"""
#: `runtime.host.autogroup`, by root; nothing where services have control groups for processors.
_TURN = "ExecStartPost=-+/bin/sh -c 'echo {nice} >/proc/$MAINPID/autogroup'\n"
#: For what runs as root: its children (conmon, the environments) outlive it, and it mounts, so it keeps the
#: machine's own view of files.
_ROOT = """KillMode=process
OOMScoreAdjust=-500
TasksMax=infinity
LimitNOFILE=65536
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
"""
#: Root for what it reads and writes being root's, and nothing else of root: it takes connections from outside.
_BACKUP_SERVER = """NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
PrivateDevices=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""
_UNPRIVILEGED = """User={user}
Group={user}
NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
AmbientCapabilities={capabilities}
ProtectSystem=strict
ReadWritePaths={writable}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies={families}
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""
#: What else each may write, below HOME.
_WRITABLE = {
    "redis": "redis",
    "front": "front",
    "router": "domains",
    "domains": "domains",
    "registry": "registry",
    "registry-gate": "registry",
}
#: Those of the panel that write there too, where this installation has it.
_OF_REGISTRY = ("web", "panel-worker")
#: Settings of the operator's that may name another machine.
_ELSEWHERE = ("DATABASE_URL", "WADAH_REDIS_URL")


def units(layout: Layout, front: Front) -> dict[str, str]:
    """File name and text of every unit."""
    prefix = "wadah" if not (mark := _mark(layout)) else f"wadah-{mark}"
    target, prepare = f"{prefix}.target", f"{prefix}-prepare.service"
    wanted = roles(layout, front)
    names = {role.name: f"{prefix}-{role.name}.service" for role in wanted}
    common = {
        "target": target,
        "prepare": prepare,
        "home": layout.home,
        "restoring": restoring.file_of(layout),
        "app": layout.app,
        "python": layout.python,
        "names": " ".join(names.values()),
        "environment": _environment(layout, front),
    }
    files = {target: _TARGET.format(**common), prepare: _PREPARE.format(**common)}
    for role in wanted:
        after = (
            f" {names['redis']}"
            if "redis" in names and role.name not in ("redis", "front", "router", "domains")
            else ""
        )
        files[names[role.name]] = _SERVICE.format(
            role=role.name,
            after=after,
            # a socket that was left behind keeps the next one from listening
            before=f"ExecStartPre=/bin/rm -f {role.ready}\n"
            if role.ready is not None
            else _bounds(role, layout),
            command=shlex.join([_program(role, layout), *role.command[1:]]),
            turn=_TURN.format(nice=role.nice) if role.nice else "",
            stop_s=role.stop_s,
            more=_more(role, layout, front),
            **common,
        )
    return files


def _bounds(role: Role, layout: Layout) -> str:
    """By root, beside the front: how many connections one client may hold. Without them it starts as well."""
    if role.name != "front":
        return ""
    nft = "+-/usr/sbin/nft"
    rules, table = connection_limits.file_of(layout), connection_limits.table_of(layout)
    return f"ExecStartPre={nft} -f {rules}\nExecStopPost={nft} delete table inet {table}\n"


def write_units(layout: Layout, front: Front, directory: Path) -> list[Path]:
    """Writes them; their files."""
    found = {directory / name: text for name, text in units(layout, front).items()}
    for file, text in found.items():
        put(file, text)
    return list(found)


def _mark(layout: Layout) -> str:
    """What tells the units of several installations apart: empty for the default HOME."""
    text = str(layout.home)
    return "" if text == "/var/lib/wadah" else text.strip("/").replace("/", "-").replace(".", "-")


def _program(role: Role, layout: Layout) -> str:
    first = role.command[0]
    return first if "/" in first else f"/usr/bin/{first}"


def _environment(layout: Layout, front: Front) -> str:
    """All but what is this shell's own; a setting of the operator's stands in HOME/etc/environment."""
    seen = {key: value for key, value in environment(layout, front).items() if key != "WADAH_FROM"}
    lines = [f"Environment={shlex.quote(f'{key}={value}')}" for key, value in sorted(seen.items())]
    return "\n".join([*lines, f"EnvironmentFile=-{layout.etc / 'environment'}"])


def _more(role: Role, layout: Layout, front: Front) -> str:
    if role.name == "backup-server":
        return _BACKUP_SERVER
    return _ROOT if role.root else _confined(role, layout, front)


def _confined(role: Role, layout: Layout, front: Front) -> str:
    writable = [str(layout.run), str(layout.home / _WRITABLE.get(role.name, "panel"))]
    writable += [f"-{layout.home / 'registry'}"] if role.name in _OF_REGISTRY else []
    writable += [str(layout.home / "domains/table")] if role.name == "panel-worker" and front.domains else []
    is_front = role.name in ("front", "domains", "router")
    # pages may send mail and ask providers of sign-in; a database or a broker elsewhere is for all of the panel
    speaks = is_front or role.name in ("web", "panel-worker") or (role.name != "redis" and _has_remote(layout))
    return _UNPRIVILEGED.format(
        user=role.user,
        writable=" ".join(writable),
        capabilities="CAP_NET_BIND_SERVICE" if needs_low_port(role, front) else "",
        families="AF_UNIX AF_INET AF_INET6" if speaks else "AF_UNIX",
    )


def _has_remote(layout: Layout) -> bool:
    """Whether the operator's database or broker is reached over a network: a URL with a host that isn't the
    directory of a socket."""
    settings = {name: os.environ.get(name, "") for name in _ELSEWHERE}
    with suppress(FileNotFoundError):
        for line in (layout.etc / "environment").read_text().splitlines():
            name, _, value = line.strip().partition("=")
            if name in _ELSEWHERE:
                settings[name] = value.strip("\"'")
    hosts = [urlsplit(url).hostname or "" for url in settings.values()]
    return any(host and not unquote(host).startswith("/") for host in hosts)
