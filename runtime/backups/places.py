"""Where a repository lies: in a directory of this node, or on a server, which restic asks out of its container.

restic's own ways to SFTP and S3 are used: so what a server answers is read in there, with the files and keys of
one tenant and nothing else. Of the network it has one way out (`runtime.images.oci.egress`): names are resolved
outside, and the address that was judged is the one that is dialled.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.backups.inside import ground
from runtime.contract import (
    BackupSecrets,
    Locked,
    NodeLogin,
    NodePlace,
    Repository,
    S3Keys,
    S3Place,
    SftpLogin,
    SftpPlace,
)
from runtime.contract.words import backups as words
from runtime.errors import RuntimeFault
from runtime.images.oci.egress import Egress, Sentences, is_loopback
from runtime.images.oci.tools import network
from runtime.node import Node

#: A server that isn't reached for so long is gone: restic itself would try for a quarter of an hour.
UNREACHED_S = 120.0
#: What restic says of itself when nobody answered: who is turned away by the way out is so by the server.
_WITHOUT_AN_ANSWER = frozenset(
    ("backup_failed", "target_gone", "target_unreachable", "too_long", "target_silent", "login_refused")
)
#: What ssh(1) waits for a server that says nothing, as it asks it every few seconds.
_ALIVE_S, _ALIVE_TIMES = 10, 6
_HANDSHAKE_S = 30
_CA, _KEY, _ASKS = (f"{ground.SCRATCH}/{name}" for name in ("ca.pem", "key", "password"))
_DIAL = f"{ground.SCRATCH}/dial.py"
#: It prints the password that it finds in its environment: ssh takes one from nowhere else without a terminal.
_ASKPASS = '#!/bin/sh\nprintf "%s\\n" "$WADAH_LOGIN"\n'
_SENTENCES = Sentences(words.server_unknown, words.server_inward, words.server_silent)
#: restic counts in KiB (1,024 bytes) per second.
_KIB_S_OF_MBIT_S = 1e6 / 8 / 1024


@dataclass(frozen=True)
class Access:
    """How restic gets at one repository."""

    directory: Path | None
    """On this node; None: it is on a server."""
    repository: str = ground.REPOSITORY
    """As restic has it."""
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    files: dict[str, str] = field(default_factory=dict, repr=False)
    """Texts by their paths in the container, where they are in memory alone."""
    at: tuple[str, int] | None = None
    """Host and port that it asks."""
    is_inward: bool = False
    is_plain: bool = False
    is_ssh: bool = False
    login: str = field(default="", repr=False)
    """What stands before the host in the address that restic is told, and in no record of ours."""

    def told(self) -> dict[str, Any]:
        """To `runtime.backups.inside`."""
        scheme, slashes, rest = self.repository.partition("://")
        return {
            "repository": f"{scheme}{slashes}{self.login}@{rest}" if self.login else self.repository,
            "options": list(self.options),
            "environment": self.environment,
            "files": self.files,
        }


def access_of(node: Node, repository: Repository, secrets: BackupSecrets, *, makes: bool) -> Access:
    """Raises `RuntimeFault` where it isn't there, or lies where this node may not ask."""
    place, login = repository.place, secrets.login
    if place is None or (isinstance(place, NodePlace) and place.node == node.name):
        return Access(_directory(node, repository, makes=makes))
    if not place.is_inward and is_loopback(place.at[0]):
        raise out_of_reach(words.server_inward(place.at[0]))
    if isinstance(place, SftpPlace) and isinstance(login, SftpLogin):
        return _limited(_sftp(place, login), repository)
    if isinstance(place, S3Place) and isinstance(login, S3Keys):
        return _limited(_s3(place, login), repository)
    if isinstance(place, NodePlace) and isinstance(login, NodeLogin):
        return _limited(_at_node(place, login, repository), repository)
    raise RuntimeFault(words.not_opened(), code="secrets_not_opened", retryable=False)


def _limited(access: Access, repository: Repository) -> Access:
    words_: list[str] = []
    for name, most in (("upload", repository.upload_mbit_s), ("download", repository.download_mbit_s)):
        if most is not None:
            words_ += [f"--limit-{name}", str(max(1, int(most * _KIB_S_OF_MBIT_S)))]
    return Access(**{**vars(access), "options": (*words_, *access.options)})


def _s3(place: S3Place, keys: S3Keys) -> Access:
    below = f"/{place.prefix.strip('/')}" if place.prefix and place.prefix.strip("/") else ""
    return Access(
        None,
        repository=f"s3:{place.endpoint}/{place.bucket}{below}",
        options=("--cacert", _CA) if place.ca else (),
        environment={
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            **({"AWS_DEFAULT_REGION": place.region} if place.region else {}),
        },
        files={_CA: place.ca} if place.ca else {},
        at=place.at,
        is_inward=place.is_inward,
        is_plain=place.is_plain,
    )


def _at_node(place: NodePlace, login: NodeLogin, repository: Repository) -> Access:
    host, port = place.at
    return Access(
        None,
        repository=f"rest:https://{host}:{port}/{repository.tenant_id}/{repository.name}/",
        options=("--cacert", _CA),
        files={_CA: place.certificate},
        at=place.at,
        is_inward=place.is_inward,
        login=f"{place.node}:{login.token}",
    )


def _sftp(place: SftpPlace, login: SftpLogin) -> Access:
    """The server is called `target` in there: by that name its key is known."""
    known = f"target {place.host_key}\n" if place.host_key else ""
    options = {
        "HostKeyAlias": "target",
        "UserKnownHostsFile": ground.KNOWN_HOSTS,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes" if place.host_key else "accept-new",
        "UpdateHostKeys": "no",
        "NumberOfPasswordPrompts": "1",
        "PreferredAuthentications": _ways_in(login),
        "IdentityFile": _KEY if login.private_key else "none",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": str(_HANDSHAKE_S),
        "ServerAliveInterval": str(_ALIVE_S),
        "ServerAliveCountMax": str(_ALIVE_TIMES),
        "ProxyCommand": f"/usr/bin/python3 -I -S {_DIAL} {place.host} {place.port}",
    }  # fmt: skip
    files = {ground.SSH_CONFIG: "".join(f"{name} {value}\n" for name, value in options.items())}
    files |= {ground.KNOWN_HOSTS: known, _DIAL: DIAL_SOURCE}
    environment = {}
    if login.private_key:
        files[_KEY] = login.private_key.replace("\r\n", "\n").rstrip("\n") + "\n"
    if login.password:
        files[_ASKS] = _ASKPASS
        environment = {"SSH_ASKPASS": _ASKS, "SSH_ASKPASS_REQUIRE": "force", "WADAH_LOGIN": login.password}
    command = f"/usr/bin/ssh -F {ground.SSH_CONFIG} -E {ground.SSH_LOG} -T -l {place.user} target -s sftp"
    return Access(
        None,
        repository=f"sftp:target:{place.path}",
        options=("-o", f"sftp.command={command}"),
        environment=environment,
        files=files,
        at=place.at,
        is_inward=place.is_inward,
        is_ssh=True,
    )


def _ways_in(login: SftpLogin) -> str:
    """As ssh_config(5) names them."""
    by_key = ["publickey"] if login.private_key else []
    by_password = ["password", "keyboard-interactive"] if login.password else []
    return ",".join([*by_key, *by_password]) or "none"


#: Asks the way out for the server, and is the connection then.
DIAL_SOURCE = """
import os, socket, sys, threading
host, port = sys.argv[1:]
way = socket.create_connection(("127.0.0.1", 3128), 60)
way.settimeout(None)
name = f"[{host}]" if ":" in host else host
way.sendall(f"CONNECT {name}:{port} HTTP/1.1\\r\\n\\r\\n".encode())
head = b""
while b"\\r\\n\\r\\n" not in head:
    piece = way.recv(1)
    if not piece:
        sys.exit("no way out")
    head += piece
if b" 200 " not in head.split(b"\\r\\n")[0]:
    sys.exit("no way out")

def back():
    while piece := way.recv(65536):
        while piece:
            piece = piece[os.write(1, piece):]
    os._exit(0)

threading.Thread(target=back, daemon=True).start()
while piece := os.read(0, 65536):
    way.sendall(piece)
os._exit(0)
"""


@dataclass
class Way:
    """Out of one container; of a directory there is none."""

    pin: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    egress: Egress | None = None
    host: str = ""

    def look(self) -> None:
        """Raises `RuntimeFault` when the server hasn't been reached for long."""
        since = self.egress.unreached_since if self.egress is not None else None
        if since is not None and time.monotonic() > since + UNREACHED_S:
            assert self.egress is not None
            raise out_of_reach(self.egress.why or words.server_silent(self.host))

    def blamed(self, fault: RuntimeFault) -> RuntimeFault:
        """What was seen of the way says more than a tool that wasn't answered."""
        why = self.egress.why if self.egress is not None else None
        is_cause = fault.code in _WITHOUT_AN_ANSWER
        return out_of_reach(why) if why is not None and is_cause else fault


@contextmanager
def way_to(node: Node, access: Access) -> Iterator[Way]:
    if access.at is None:
        yield Way()
        return
    outside = node.host_network if node.settings.network_namespace else None
    named = frozenset((access.at,))
    with network(node) as (namespace, pin):
        egress = Egress(
            namespace,
            outside,
            named=named if access.is_inward else frozenset(),
            plain=named if access.is_plain else frozenset(),
            only=named if access.is_ssh or access.login else frozenset(),  # of S3, other names may stand for it
            keeps_one=access.is_ssh,  # restic waits for a quarter of an hour, and dials no more
            said=_SENTENCES,
        )
        with egress:
            yield Way(pin, egress.environment, egress, access.at[0])


def out_of_reach(why: Any) -> RuntimeFault:
    inward = why.code.endswith("server_inward")
    return RuntimeFault(
        why,
        code="target_not_allowed" if inward else "target_unreachable",
        next_step=words.ask_for_the_server() if inward else words.look_at_it(),
        retryable=not inward,
    )


def opened(node: Node, repository: Repository, secrets: Locked) -> BackupSecrets:
    """Raises `RuntimeFault` for what isn't for this node and this repository."""
    try:
        return BackupSecrets.opened(secrets, repository, key=node.report_key.read_bytes().strip())
    except (OSError, ValueError) as odd:
        raise RuntimeFault(words.not_opened(), code="secrets_not_opened", retryable=False) from odd


def _directory(node: Node, repository: Repository, *, makes: bool) -> Path:
    given = node.settings.backup_directory
    if not given:
        raise RuntimeFault(
            words.no_directory_given(node.name),
            code="no_backup_directory",
            next_step=words.give_a_directory(),
            retryable=False,
        )
    root = Path(given)
    if not root.is_dir():
        raise gone()
    place = root / str(repository.tenant_id) / repository.name
    try:
        if makes:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RuntimeFault(
            words.target_not_written(str(error.strerror)), code="target_failed", next_step=words.look_at_it()
        ) from error
    if not place.is_dir():
        raise gone()
    return place


def gone() -> RuntimeFault:
    return RuntimeFault(words.target_gone(), code="target_gone", next_step=words.look_at_it())
