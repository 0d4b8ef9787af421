"""The few files inside that say who the environment is and how root gets in."""

import json
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec, Kernel, Rescue
from runtime.contract.said import Said
from runtime.contract.ways_in import WayName
from runtime.contract.words import steps, ways
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host import libc
from runtime.host.safetree import SafeTree
from runtime.resources.base import Found, Sandboxed
from runtime.resources.resolvers import nameservers
from runtime.resources.unique import make_unique
from runtime.ways_in.account import root_of
from runtime.ways_in.looking import ways_in

NOTE = "trusted.wadah.guest"
#: What crypt(3) makes has 384 at most. The note holds what a file system keeps of one attribute, some 16 KB.
LONGEST_HASH = 512
#: Of /etc/shadow: an account that has no password and is locked.
_LOCKED = ("!", "!!", "!*")
BEGIN, END = "# wadah: begin (changes between these lines are lost)", "# wadah: end"


class GuestFiles(Sandboxed):
    """Written when what the panel says about them changed, so a tenant's own edits stay otherwise.

    What was last written is noted on the root's own top directory, in an attribute that root inside neither
    sees nor sets: so the note comes, goes and is swapped with the root that it speaks of.
    """

    name = "guest files"
    lifetime = "environment"

    def _wanted(self, spec: EnvironmentSpec) -> dict[str, Any]:
        return {
            "name": spec.name,
            "nameservers": [str(one) for one in nameservers(self.node, spec)],
            "credentials": spec.credentials.revision,
        }

    def _written(self, environment_id: UUID) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            document = json.loads(os.getxattr(self.node.root_volume(environment_id), NOTE))
            return document if isinstance(document, dict) else {}
        return {}

    def _write_note(self, environment_id: UUID, note: dict[str, Any]) -> None:
        os.setxattr(self.node.root_volume(environment_id), NOTE, json.dumps(note).encode())

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if spec.rescue is not Rescue.OFF:
            return None  # somebody repairs it: it is told at its next start
        wanted, written = self._wanted(spec), self._written(spec.id)
        before = written.pop("before", None)
        if wanted == written:
            return None
        fresh = not written
        cut_off = "unfinished" in written
        is_first = fresh or (cut_off and "name" not in written)
        changed: list[Said] = []
        with SafeTree.open(self.node.root_volume(spec.id)) as tree:
            keeps = before or {"credentials": written.get("credentials"), "password": _password(tree)}
            # noted first: what is cut off in its middle, or fails there, is written again
            self._write_note(spec.id, {**written, "unfinished": True, "before": keeps})
            if fresh or cut_off or written.get("name") != spec.name:
                self._write_name(tree, spec.name)
                self._name_what_runs(spec)
                changed.append(steps.host_name())
            if fresh or cut_off or written.get("nameservers") != wanted["nameservers"]:
                lines = "".join(f"nameserver {one}\n" for one in wanted["nameservers"])
                tree.write("/etc/resolv.conf", lines.encode())
                self._tell_resolved(tree, wanted["nameservers"])
                changed.append(steps.resolvers())
            if is_first:
                changed += make_unique(tree, spec.name)
            if fresh or cut_off or written.get("credentials") != spec.credentials.revision:
                password = spec.credentials.root_password_hash
                if keeps["credentials"] == spec.credentials.revision:
                    password = keeps["password"]
                changed += self._write_credentials(tree, spec, password)
        self._write_note(spec.id, {**wanted, "before": keeps})
        return steps.several(tuple(changed))

    def settle(self, spec: EnvironmentSpec) -> Said | None:
        """What a failed change of credentials would have gone back to is forgotten."""
        written = self._written(spec.id)
        if "before" in written:
            del written["before"]
            self._write_note(spec.id, written)
        return None

    @staticmethod
    def _write_name(tree: SafeTree, name: str) -> None:
        tree.write("/etc/hostname", f"{name}\n".encode())
        hosts = tree.read("/etc/hosts")
        if not hosts:
            hosts = b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        tree.write("/etc/hosts", with_block(hosts, [f"127.0.1.1\t{name}"]))

    def _name_what_runs(self, spec: EnvironmentSpec) -> None:
        """The name that its kernel gives, at once: by a thread, which enters its namespace and goes."""
        if spec.runs_on is not Kernel.SHARED:
            if self.sandbox.look(spec.id).is_up:
                self.sandbox.tell_inside(spec)
            return
        with suppress(RuntimeFault):  # it doesn't run: its next start gives the name
            namespace = self.sandbox.open_namespace(spec.id, "uts")

            def work() -> None:
                with suppress(OSError):  # gone meanwhile
                    libc.setns(namespace, libc.CLONE_NEWUTS)
                    socket.sethostname(spec.name)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            os.close(namespace)

    @staticmethod
    def _tell_resolved(tree: SafeTree, servers: list[str]) -> None:
        """systemd-resolved, once it is installed, takes /etc/resolv.conf over and asks nobody unless told here
        (resolved.conf(5))."""
        if not tree.is_directory("/etc/systemd"):
            return
        tree.make_directory("/etc/systemd/resolved.conf.d")
        text = f"# wadah: as /etc/resolv.conf had it\n[Resolve]\nDNS={' '.join(servers)}\n"
        tree.write("/etc/systemd/resolved.conf.d/wadah.conf", text.encode())

    @staticmethod
    def _write_credentials(tree: SafeTree, spec: EnvironmentSpec, password: str | None) -> list[Said]:
        """And whether they let their owner in, as far as the files say."""
        changed = []
        credentials = spec.credentials
        root = root_of(tree)
        home = root.home if root is not None and tree.is_directory(root.home) else "/root"
        keys_file = f"{home}/.ssh/authorized_keys"
        tree.make_directory(home, mode=0o700)
        tree.make_directory(f"{home}/.ssh", mode=0o700)
        before = tree.read(keys_file) or b""
        after = with_block(before, list(credentials.ssh_keys))
        if after != before:
            tree.write(keys_file, after, mode=0o600)
            changed.append(steps.ssh_keys(len(credentials.ssh_keys)))
        entry = password
        if entry is None and credentials.ssh_keys and root is not None and root.password in _LOCKED:
            entry = "*"  # no password either; but sshd without PAM takes no key of a locked account
        if entry is not None:
            shadow = tree.read("/etc/shadow") or b""
            tree.write("/etc/shadow", with_password(shadow, entry), mode=0o640)
        if password is not None:
            changed.append(steps.root_password())
        by_password = credentials.root_password_hash is not None
        return [*changed, *_what_they_open(tree, by_key=bool(credentials.ssh_keys), by_password=by_password)]

    def remove(self, environment_id: UUID) -> Said | None:
        return None  # they are part of the root volume, and stay with it

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        return self._written(environment_id) or None

    def inventory(self) -> Iterable[Found]:
        return ()

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        return None  # the tenant may change them


def _what_they_open(tree: SafeTree, *, by_key: bool, by_password: bool) -> Iterator[Said]:
    """What is to be said of keys and a password that were written and let nobody in, or not everywhere."""
    found = ways_in(tree)
    key, password, console = (
        found.of(name) for name in (WayName.SSH_KEY, WayName.SSH_PASSWORD, WayName.CONSOLE)
    )
    if by_key and not key.is_open:
        yield ways.keys_let_nobody_in(key.why)
    if by_password and not password.is_open:
        say = ways.password_for_the_console if console.is_open else ways.password_lets_nobody_in
        yield say(password.why)


def with_block(text: bytes, lines: list[str]) -> bytes:
    """The text with our block holding these lines; everything else stays byte for byte.

    A block that was opened and never closed is taken to end with the file's last line that is ours.
    """
    kept: list[bytes] = []
    ours = False
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if stripped == BEGIN.encode():
            ours = True
        elif stripped == END.encode():
            ours = False
        elif not ours:
            kept.append(line)
    before = b"".join(kept)
    if not lines:
        return before
    if before and not before.endswith(b"\n"):
        before += b"\n"
    block = "\n".join([BEGIN, *lines, END]) + "\n"
    return before + block.encode()


def _password(tree: SafeTree) -> str | None:
    """Hash of root's password inside now; None when there is no such line, or what stands there is no hash."""
    for line in (tree.read("/etc/shadow") or b"").splitlines():
        fields = line.split(b":")
        if fields[0] == b"root" and len(fields) >= 2:
            is_hash = len(fields[1]) <= LONGEST_HASH and fields[1].isascii()
            return fields[1].decode() if is_hash else None
    return None


def with_password(shadow: bytes, password_hash: str) -> bytes:
    """/etc/shadow (shadow(5)) with another hash for root; every other line stays as it is, odd or not."""
    lines = shadow.splitlines(keepends=True)
    for number, line in enumerate(lines):
        fields = line.split(b":")
        if fields[0] == b"root" and len(fields) >= 2:
            fields[1] = password_hash.encode()
            lines[number] = b":".join(fields)
            return b"".join(lines)
    return f"root:{password_hash}:19000:0:99999:7:::\n".encode() + shadow
