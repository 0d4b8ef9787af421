"""Which sockets processes listen on, as the kernel lists them (proc_pid_net(5)), and who reaches each."""

import grp
import ipaddress
import re
import socket
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.install.host import ids
from runtime.install.layout import Layout

_MAPPED = bytes(10) + b"\xff\xff"
_LISTEN, _UNCONNECTED = "0A", "07"
#: Of /proc/net/unix: somebody calls accept(2) on it.
_ACCEPTS = 0x10000


@dataclass(frozen=True)
class Listener:
    pid: int
    kind: str
    """tcp, udp or unix."""
    address: str
    """An IP address, or the path of a unix socket (`@name` where it has none)."""
    port: int = 0

    @property
    def where(self) -> str:
        if self.kind == "unix":
            return self.address
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.kind} {host}:{self.port}"

    @property
    def reached_by(self) -> str:
        if self.kind == "unix":
            return _who_opens(self.address)
        address = ipaddress.ip_address(self.address)
        if address.is_loopback:
            return "this machine only"
        if address.is_unspecified:
            return "whoever reaches any address of this machine"
        return f"whoever reaches {self.address}"

    @property
    def is_local(self) -> bool:
        return self.kind == "unix" or ipaddress.ip_address(self.address).is_loopback


def _who_opens(path: str) -> str:
    if path.startswith("@"):
        return "every process of this machine"
    try:
        seen = Path(path).stat()
    except OSError:
        return "nobody: its file is gone"
    if seen.st_mode & stat.S_IWOTH:
        return "every user of this machine who reaches the file"
    with suppress(KeyError):
        if seen.st_mode & stat.S_IWGRP:
            return f"root and the group {grp.getgrgid(seen.st_gid).gr_name}"
    return "root" if seen.st_uid == 0 else f"root and the user {seen.st_uid}"


def processes_of(layout: Layout) -> list[int]:
    """What runs for this installation, under whatever supervision: it has HOME in its environment, or works
    in it (some write over their environment), is root's or the panel's user's, and has our own user namespace:
    nothing inside an environment and no other user of the machine can pass for it."""
    mark, ours = f"WADAH_HOME={layout.home}".encode(), _namespace("self", "user")
    candidates = (pid for pid in _pids() if _namespace(pid, "user") == ours and _user(pid) in _users())
    return [pid for pid in candidates if mark in _environment(pid) or _works_in(pid, layout.home)]


def _works_in(pid: int, home: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(home)
    except OSError:
        return False


def _pids() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())


def _users() -> set[int]:
    with suppress(KeyError):
        return {0, ids()[0]}
    return {0}


def _user(pid: int) -> int:
    """The real user of a process; -1 when it is gone."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Uid:")).split()[1])
    return -1


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _namespace(pid: int | str, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


def listeners(pids: Iterable[int]) -> list[Listener]:
    """Each listening socket once, with the first of the processes that hold it."""
    known: dict[str, dict[int, Listener]] = {}
    found: dict[Listener, None] = {}
    seen: set[int] = set()
    for pid in sorted(pids):
        space = _namespace(pid, "net")
        if space not in known:
            known[space] = {}
            for inode, listener in _listed(pid):
                known[space][inode] = listener
        for inode in _held(pid) - seen:
            if inode in known[space]:
                seen.add(inode)
                one = known[space][inode]
                found[Listener(pid, one.kind, one.address, one.port)] = None
    return list(found)


def _held(pid: int) -> set[int]:
    """Inodes of its sockets."""
    held = set()
    with suppress(OSError):
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if match := re.match(r"socket:\[(\d+)\]", str(one.readlink())):
                    held.add(int(match[1]))
    return held


def _listed(pid: int) -> Iterator[tuple[int, Listener]]:
    """All of its network namespace, by inode."""
    for name, state in (("tcp", _LISTEN), ("tcp6", _LISTEN), ("udp", _UNCONNECTED), ("udp6", _UNCONNECTED)):
        for words in _rows(pid, name):
            if words[3] == state:
                host, _, port = words[1].partition(":")
                yield int(words[9]), Listener(pid, name[:3], _address(host), int(port, 16))
    for words in _rows(pid, "unix"):
        if int(words[3], 16) & _ACCEPTS:
            yield int(words[6]), Listener(pid, "unix", _as_it_is(words[7] if len(words) > 7 else "@"))


def _as_it_is(path: str) -> str:
    """The kernel knows a socket by the name that it was made with; ours are renamed when they are ready
    (`.NAME.PID` to `NAME`)."""
    made = re.fullmatch(r"(.*/)\.([^/]+)\.\d+", path)
    renamed = f"{made[1]}{made[2]}" if made else path
    return renamed if not Path(path).exists() and Path(renamed).exists() else path


def _rows(pid: int, name: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    except OSError:
        return []


def _address(text: str) -> str:
    """Words of 32 bits, each in the machine's own order. A socket of IPv6 on an address of IPv4 is reached by
    that one."""
    packed = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    packed = packed.removeprefix(_MAPPED)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
