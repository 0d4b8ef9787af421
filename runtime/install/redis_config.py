"""The installation's own Redis: its configuration, and users with no more rights than each half needs."""

import hashlib
import json
import os
import secrets
from pathlib import Path

from runtime.install.files import put
from runtime.install.host import ids
from runtime.install.layout import Layout

#: The node's half reads its own queues and puts reports into the one for them, which it can neither read nor
#: empty; into the panel's own it puts nothing.
#: Of commands it has those that kombu sends and no others: by a script or one bit far out it would hold up or
#: fill the server, by SCAN see the names of what others keep. https://redis.io/docs/management/security/acl/
_NODE = (
    "resetchannels -@all +@connection +@transaction -@dangerous -select -client"
    " +lpush +rpush +brpop +rpop +lrange +llen +exists +del +set +get +expire"
    " +hset +hget +hdel +hgetall +hlen +sadd +smembers +srem +zadd +zrem +zrange +zcard +zrevrangebyscore"
    " ~node.{name} ~node.{name}.* ~node.{name}{separator}* ~unacked*.node.{name} ~unacked*.node.{name}.*"
    " ~_kombu.binding*.node.{name} ~_kombu.binding*.node.{name}.*"
    " (+lpush +llen +exists +ping +multi +exec resetchannels %W~reports %W~reports{separator}*)"
)
#: Between a queue's name and a priority, in the name of the list (kombu's Redis transport). It stands in the
#: file as it is: ACL files know no quoting.
_SEPARATOR = "\x06\x16"
_PANEL = "~* &* +@all -@admin -@dangerous +info"
_ADMIN = "~* &* +@all"


def write_redis(layout: Layout) -> None:
    """Configuration, users and passwords; passwords are made once. A no-op where all is so.

    The node's name says which queues are its own; where it isn't prepared yet, any node's are.
    """
    _, gid = ids()
    settings = layout.home / "node" / "node.json"
    settings.parent.mkdir(mode=0o700, exist_ok=True)
    node = json.loads(settings.read_text())["name"] if settings.exists() else "*"
    passwords = {
        "admin": _password(layout.etc / "redis-admin.password", group=0),
        "panel": _password(layout.etc / "redis-panel.password", group=gid),
        "node": _password(layout.home / "node" / "redis.password", group=0),
    }
    rights = {"admin": _ADMIN, "panel": _PANEL, "node": node_rights(node)}
    users = ["user default off", *(_user(name, passwords[name], rights[name]) for name in rights)]
    put(layout.etc / "redis.acl", "\n".join(users) + "\n", mode=0o640, owner=(0, gid))
    put(layout.etc / "redis.conf", _configuration(layout), mode=0o640, owner=(0, gid))


def share_report_key(layout: Layout) -> None:
    """The key that seals what this machine's node reports: made once, and given to the panel under the node's
    name. A no-op where all is so, and where there is no node yet."""
    settings = layout.home / "node" / "node.json"
    if not settings.exists():
        return
    _, gid = ids()
    key = _password(layout.home / "node" / "report.key", group=0)
    trusted = layout.etc / "nodes"
    trusted.mkdir(mode=0o750, exist_ok=True)
    os.chown(trusted, 0, gid)
    put(trusted / f"{json.loads(settings.read_text())['name']}.key", key + "\n", mode=0o640, owner=(0, gid))


def node_rights(name: str) -> str:
    """Rules for the half of the node with this name."""
    return _NODE.format(name=name, separator=_SEPARATOR)


def _user(name: str, password: str, rights: str) -> str:
    """A line of an ACL file. Only the password's SHA-256 is written, which is enough for 256 random bits."""
    return f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} {rights}"


def _password(file: Path, *, group: int) -> str:
    try:
        password = file.read_text().strip()
    except FileNotFoundError:
        password = secrets.token_urlsafe(32)
    put(file, password + "\n", mode=0o640 if group else 0o600, owner=(0, group))
    return password


def _most_bytes() -> int:
    """Of memory: an eighth of the machine's, within bounds. What it holds by itself is some megabytes."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(128 * 2**20, min(there // 8, 2 * 2**30))


def _configuration(layout: Layout) -> str:
    """On a unix socket: no TCP port, nothing lost but the last second, never evicting, and never more than its
    share of memory, whatever the user of a stolen node writes into its queues."""
    return f"""port 0
unixsocket {layout.run / "redis.sock"}
unixsocketperm 660
aclfile {layout.etc / "redis.acl"}
dir {layout.home / "redis"}
appendonly yes
appendfsync everysec
save ""
maxmemory {_most_bytes()}
maxmemory-policy noeviction
maxmemory-clients 25%
proto-max-bulk-len 16mb
client-query-buffer-limit 32mb
protected-mode yes
daemonize no
supervised no
logfile ""
"""
