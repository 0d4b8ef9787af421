"""What must be of one environment alone: keys, ids and seeds that its image was made with are made anew.

Whoever else has the image has them too, in every environment of every tenant. Done before the first start of
a new root, by the node and not by something inside, so that it holds for any image, whatever its init. A file
that the image lacks isn't made: what makes it there (a unit of Debian's image, dropbear -R) does so itself.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from runtime.contract.said import Said
from runtime.contract.words import steps
from runtime.host.safetree import SafeTree, UnsafePath
from runtime.resources import hostkeys

#: Made anew by their programs when they are missing: random seeds, secrets and ids of systemd, OpenRC,
#: sysvinit, NetworkManager, dhcpcd, cloud-init, Salt, MySQL, RabbitMQ.
REMOVED = tuple(
    """
    /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/urandom/random-seed
    /var/lib/misc/random-seed /var/lib/random-seed /etc/random-seed
    /var/lib/seedrng/seed.credit /var/lib/seedrng/seed.no-credit
    /var/lib/NetworkManager/secret_key /var/lib/dhcpcd/duid /var/lib/dhcpcd/secret /etc/dhcpcd.duid
    /etc/dhcpcd.secret /var/lib/cloud/instance /var/lib/cloud/data/instance-id
    /var/lib/cloud/data/previous-instance-id /etc/salt/pki/minion/minion.pem /etc/salt/pki/minion/minion.pub
    /etc/salt/minion_id /var/lib/mysql/auto.cnf /var/lib/mysql/ca-key.pem /var/lib/mysql/ca.pem
    /var/lib/mysql/server-key.pem /var/lib/mysql/server-cert.pem /var/lib/mysql/client-key.pem
    /var/lib/mysql/client-cert.pem /var/lib/mysql/private_key.pem /var/lib/mysql/public_key.pem
    /var/lib/rabbitmq/.erlang.cookie
    """.split()
)
MACHINE_ID, DBUS_ID = "/etc/machine-id", "/var/lib/dbus/machine-id"
SNAKEOIL_KEY, SNAKEOIL = "/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"


def make_unique(tree: SafeTree, name: str) -> list[Said]:
    """All of it, in the tree of a new root whose environment is called so; what was made, for people."""
    _machine_id(tree)
    made = [steps.ssh_host_keys()] if hostkeys.make_anew(tree) else []
    for path in REMOVED:
        tree.remove(path)
    if tree.is_file(SNAKEOIL_KEY):
        key, certificate = hostkeys.self_signed(name)
        tree.replace(SNAKEOIL_KEY, key)
        tree.replace(SNAKEOIL, certificate)
    for path, anew in _CHANGED.items():
        _change(tree, path, anew)
    return made


def _machine_id(tree: SafeTree) -> None:
    """machine-id(5): 32 hex digits. Whole, since only systemd makes one of an empty file."""
    identity = f"{secrets.token_hex(16)}\n".encode()
    tree.write(MACHINE_ID, identity, mode=0o444)
    if tree.is_file(DBUS_ID):  # a link leads to the other
        tree.replace(DBUS_ID, identity)


def _initiator(old: bytes) -> bytes:
    """iscsid's name: what stands before its last colon stays."""
    lines = old.split(b"\n")
    for number, line in enumerate(lines):
        if line.startswith(b"InitiatorName="):
            kept = max(line.rfind(b":"), line.index(b"=")) + 1
            lines[number] = line[:kept] + secrets.token_hex(6).encode()
    return b"\n".join(lines)


def _secret(old: bytes) -> bytes:
    """rndc's key file (rndc.conf(5)): another secret, as long as that of rndc-confgen(8)."""
    return re.sub(rb'secret "[^"]*"', b'secret "' + b64encode(secrets.token_bytes(32)) + b'"', old)


_CHANGED: dict[str, Callable[[bytes], bytes]] = {
    "/etc/iscsi/initiatorname.iscsi": _initiator,
    "/etc/bind/rndc.key": _secret,
    "/etc/rndc.key": _secret,
    "/etc/hostid": lambda _: secrets.token_bytes(4),
    "/etc/nvme/hostid": lambda _: f"{uuid4()}\n".encode(),
    "/etc/nvme/hostnqn": lambda _: f"nqn.2014-08.org.nvmexpress:uuid:{uuid4()}\n".encode(),
}


def _change(tree: SafeTree, path: str, anew: Callable[[bytes], bytes]) -> None:
    if not tree.is_file(path):
        return
    old = None
    with suppress(UnsafePath):  # one that nothing reads as its own either
        old = tree.read(path)
    if old is not None:
        tree.replace(path, anew(old))
