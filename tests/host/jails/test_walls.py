"""What a jail's root may do: nothing of this until it is allowed by name, and then that alone. Asked of the
kernel, by root inside."""

from typing import Any

import pytest

from runtime.contract import Allow, Device, JailOptions, Kind
from runtime.devices import available
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside


def _tried(names: list[str]) -> dict[str, int]:
    """What the kernel answered to each, asked by a process of its own: 0, or an errno."""
    import ctypes
    import os
    import socket

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *words: object) -> int:
        found = getattr(libc, name)(*words)
        return ctypes.get_errno() if found < 0 else 0

    def opened(*words: int) -> int:
        socket.socket(*words).close()
        return 0

    def bound(port: int) -> int:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))
        return 0

    def changed_owner() -> int:
        with open("/root/its", "w"):
            pass
        os.chown("/root/its", 1000, 1000)
        return 0

    bind, private, magic = 0x1000, 0x40000, 0xC0ED0000
    probes = {
        "raw socket": lambda: opened(2, 3, 1),
        "packet socket": lambda: opened(17, 3, 3),
        "raw socket, IPv6": lambda: opened(10, 3, 58),
        "ping socket": lambda: opened(2, 2, 1),
        "bind mount": lambda: call("mount", b"/etc", b"/mnt", None, bind, None),
        "change of propagation": lambda: call("mount", None, b"/", None, private, None),
        "unmount": lambda: call("umount2", b"/dev/mqueue", 2),
        "mount namespace": lambda: call("unshare", 0x20000),
        "tmpfs": lambda: call("mount", b"x", b"/mnt", b"tmpfs", 0, None),
        "tmpfs, by an old program": lambda: call("mount", b"x", b"/mnt", b"tmpfs", magic, None),
        "tmpfs, by fsopen": lambda: call("syscall", 430, b"tmpfs", 0),
        "proc": lambda: call("mount", b"x", b"/mnt", b"proc", 0, None),
        "/dev/fuse": lambda: os.close(os.open("/dev/fuse", os.O_RDWR)) or 0,
        "shared memory": lambda: call("shmget", 0, 4096, 0o1600),
        "semaphores": lambda: call("semget", 0, 1, 0o1600),
        "message queue": lambda: call("msgget", 0, 0o1600),
        "host name": lambda: call("sethostname", b"other", 5),
        "domain name": lambda: call("setdomainname", b"other", 5),
        "mlock": lambda: call("mlock", ctypes.create_string_buffer(8192), 8192),
        "port 80": lambda: bound(80),
        "port 8080": lambda: bound(8080),
        "vsock": lambda: opened(40, 1, 0),
        "alg": lambda: opened(38, 5, 0),
        "netlink, route": lambda: opened(16, 3, 0),
        "netlink, audit": lambda: opened(16, 3, 9),
        "unix socket": lambda: opened(1, 1, 0),
        "IPv6 socket": lambda: opened(10, 1, 0),
        "ptrace": lambda: call("ptrace", 0, 0, 0, 0),
        "memory of a process": lambda: call("process_vm_readv", os.getpid(), None, 0, None, 0, 0),
        "owner of a file": changed_owner,
        "another user": lambda: os.setresuid(1000, 1000, 1000) or 0,
        "chroot": lambda: os.chroot("/") or 0,
        "user namespace": lambda: call("unshare", 0x10000000),
        "network namespace": lambda: call("unshare", 0x40000000),
        "module": lambda: call("syscall", 313, -1, b"", 0),
        "clock": lambda: call("syscall", 227, 0, None),
        "read-only view of the base": lambda: os.mkdir("/usr/mine") or 0,
    }
    found = {}
    for name in names:
        child = os.fork()
        if child == 0:
            try:
                os._exit(probes[name]())
            except OSError as error:
                os._exit(error.errno or 255)
        found[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return found


EPERM, EACCES, ENOENT, EROFS = 1, 13, 2, 30
ENOTSUP = {93, 97, 38}
#: What each word opens; `mount` is beside those that are nothing without it.
OPENS: dict[Allow, list[str]] = {
    Allow.RAW_SOCKETS: ["raw socket", "raw socket, IPv6", "ping socket"],
    Allow.MOUNT: ["bind mount", "change of propagation", "mount namespace"],
    Allow.MOUNT_TMPFS: ["tmpfs", "tmpfs, by an old program", "tmpfs, by fsopen"],
    Allow.MOUNT_PROC: ["proc"],
    Allow.MOUNT_FUSE: ["/dev/fuse"],
    Allow.SYSVIPC: ["shared memory", "semaphores", "message queue"],
    Allow.SET_HOSTNAME: ["host name", "domain name"],
    Allow.MLOCK: ["mlock"],
    Allow.RESERVED_PORTS: ["port 80"],
    Allow.SOCKET_AF: ["netlink, audit"],
    Allow.PROC_DEBUG: ["ptrace", "memory of a process"],
    Allow.SUSER: ["owner of a file", "another user", "chroot"],
}
#: Whatever is allowed.
ALWAYS = ["port 8080", "netlink, route", "unix socket", "IPv6 socket"]
NEVER = ["vsock", "alg", "user namespace", "module", "clock", "read-only view of the base"]


def _with(word: Allow) -> tuple[Allow, ...]:
    return (Allow.MOUNT, word) if word.value.startswith("mount.") else (word,)


def _all_of(node: Node, make: Make, image: str, allow: tuple[Allow, ...]) -> dict[str, int]:
    spec = make(kind=Kind.JAIL, image=image, jail=JailOptions(allow=allow))
    names = [name for one in OPENS.values() for name in one]
    found: dict[str, int] = inside(node, spec, _tried, [*names, *ALWAYS, *NEVER])
    return found


def test_freebsd_jail_restricted_root_has_every_switch_off(node: Node, make: Make, image: str) -> None:
    found = _all_of(node, make, image, ())
    assert {name for name, answer in found.items() if answer == 0} == set(ALWAYS), found
    for name in (name for one in OPENS.values() for name in one):
        assert found[name] in {EPERM, EACCES, ENOENT} | ENOTSUP, (name, found[name])
    assert found["read-only view of the base"] == EROFS


@pytest.mark.parametrize("word", list(Allow), ids=lambda word: word.value)
def test_freebsd_jail_switch_opens_what_its_name_says(node: Node, make: Make, image: str, word: Allow) -> None:
    if word is Allow.MOUNT_FUSE and Device.FUSE not in available():
        pytest.skip("this kernel has no FUSE")
    found = _all_of(node, make, image, _with(word))
    opened = {name for one in _with(word) for name in OPENS[one]}
    if word in (Allow.MOUNT_PROC, Allow.MOUNT_FUSE):  # the filter sees that something new is mounted, not what
        opened |= set(OPENS[Allow.MOUNT_TMPFS])
    assert {name for name, answer in found.items() if answer == 0} == opened | set(ALWAYS), found


def test_freebsd_jail_ping_fails_until_raw_sockets_are_allowed(node: Node, make: Make, busybox: str) -> None:
    closed = make(kind=Kind.JAIL, image=busybox, jail=JailOptions())
    code, said = attempt(node, closed, "ping -c 1 127.0.0.1")
    assert code != 0, said
    assert "permission denied" in said
    open_ = make(kind=Kind.JAIL, image=busybox, jail=JailOptions(allow=(Allow.RAW_SOCKETS,)))
    assert "1 packets received" in sh(node, open_, "ping -c 1 127.0.0.1")


def test_a_word_is_given_at_the_next_start_and_taken_away_again(
    node: Node, make: Make, busybox: str, engine: Any
) -> None:
    spec = make(kind=Kind.JAIL, image=busybox, jail=JailOptions())

    def again(number: int, allow: tuple[Allow, ...], boots: int) -> None:
        change = {"generation": number, "boots": boots, "jail": JailOptions(allow=allow)}
        assert not engine.apply(spec.model_copy(update=change)).code

    again(2, (Allow.RAW_SOCKETS,), 0)
    assert attempt(node, spec, "ping -c 1 127.0.0.1")[0] != 0, "it runs on as it was started"
    again(3, (Allow.RAW_SOCKETS,), 1)
    assert attempt(node, spec, "ping -c 1 127.0.0.1")[0] == 0
    again(4, (), 2)
    assert attempt(node, spec, "ping -c 1 127.0.0.1")[0] != 0


def test_without_suser_no_program_gives_rights(node: Node, make: Make, busybox: str) -> None:
    for allow, wanted in ((), "1"), ((Allow.SUSER,), "0"):
        spec = make(kind=Kind.JAIL, image=busybox, jail=JailOptions(allow=allow))
        assert sh(node, spec, "awk '/NoNewPrivs/{print $2}' /proc/1/status") == wanted


def test_without_proc_debug_users_see_their_own_processes_alone(node: Node, make: Make, busybox: str) -> None:
    spec = make(kind=Kind.JAIL, image=busybox, jail=JailOptions(allow=(Allow.SUSER,)))
    assert " init" in sh(node, spec, "ps"), "root sees all"
    assert " init" not in sh(node, spec, "su nobody -s /bin/sh -c ps")


def _user_namespaces() -> list[int]:
    """Three processes, each with one of its own while the others last; what the kernel said to each."""
    import ctypes
    import os

    libc, said, waiting = ctypes.CDLL(None, use_errno=True), [], []
    for _ in range(3):
        into, out = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            answer = ctypes.get_errno() if libc.unshare(0x10000000) else 0
            os.write(into[1], bytes([answer]))
            os.close(out[1])
            os.read(out[0], 1)
            os._exit(0)
        said.append(os.read(into[0], 1)[0])
        waiting.append((child, out[1]))
    for child, _end in waiting:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return said


def test_freebsd_jail_children_max_is_counted_by_the_kernel(node: Node, make: Make, image: str) -> None:
    none = make(kind=Kind.JAIL, image=image, jail=JailOptions())
    assert inside(node, none, _user_namespaces) == [EPERM] * 3
    two = make(kind=Kind.JAIL, image=image, jail=JailOptions(children_max=2, allow=(Allow.SUSER,)))
    assert inside(node, two, _user_namespaces) == [0, 0, 28], "ENOSPC"
    assert attempt(node, two, "echo 9 > /proc/sys/user/max_user_namespaces")[0] != 0
