"""A17: user namespaces inside are refused; with the option on they work, and nothing else opens with them."""

import pytest

from runtime.contract import EnvironmentSpec, SecurityProfile
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.calls import CALLS, answers_to
from tests.host.support.laboratory import inside


@pytest.fixture
def nesting(make: Make, image: str) -> EnvironmentSpec:
    return make(image=image, security=SecurityProfile(nesting=True))


def _unshare(flags: int) -> int:
    """The errno, 0 when it was done; by unshare(2) in a child."""
    import ctypes
    import os

    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        os._exit(0 if libc.unshare(ctypes.c_ulong(flags)) == 0 else ctypes.get_errno())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _clone(flags: int) -> int:
    """As above, by clone(2), and by clone3(2), which a filter can't look into."""
    import ctypes
    import os
    import signal
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    answers = []
    for call in (
        lambda: libc.syscall(56, ctypes.c_ulong(flags | signal.SIGCHLD), 0, 0, 0, 0),
        lambda: libc.syscall(435, struct.pack("=11Q", flags, 0, 0, 0, signal.SIGCHLD, *[0] * 6), 88),
    ):
        made = call()
        if made == 0:
            os._exit(0)
        if made > 0:
            os.waitpid(made, 0)
        answers.append(0 if made > 0 else ctypes.get_errno())
    return max(answers) if 0 not in answers else 0


NEW_USER, NEW_NS = 0x10000000, 0x00020000


@pytest.mark.parametrize("more", [0, NEW_NS, 1 << 40], ids=["alone", "with mounts", "with high bits"])
def test_a17_no_user_namespace_by_default(tries: Try, more: int) -> None:
    assert tries(_unshare, NEW_USER | more) == 1
    assert tries(_clone, NEW_USER | more) != 0
    assert tries(_unshare, NEW_NS) == 0


def test_a17_the_option_gives_them(node: Node, nesting: EnvironmentSpec) -> None:
    assert inside(node, nesting, _unshare, NEW_USER) == 0
    assert inside(node, nesting, _unshare, NEW_USER | NEW_NS) == 0


def test_a17_nested_root_can_do_no_more(node: Node, nesting: EnvironmentSpec) -> None:
    """Root of a namespace in a namespace, with every capability there: what A03, A07 and A10 try."""

    def nested() -> dict[str, str]:
        import ctypes
        import errno
        import os

        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(0x10000000 | 0x00020000) == 0
        for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        works = {}

        def attempt(name, act):  # type: ignore[no-untyped-def]
            try:
                act()
                works[name] = "ok"
            except OSError as error:
                works[name] = errno.errorcode[error.errno]

        def mount(source: bytes, target: bytes, kind: bytes) -> None:
            if libc.mount(source, target, kind, 0, None):
                raise OSError(ctypes.get_errno(), "")

        os.makedirs("/mnt/here", exist_ok=True)
        attempt("tmpfs", lambda: mount(b"none", b"/mnt/here", b"tmpfs"))
        for kind in (b"btrfs", b"ext4", b"debugfs", b"tracefs", b"securityfs", b"bpf", b"configfs"):
            attempt(f"mount {kind.decode()}", lambda kind=kind: mount(b"/dev/loop0", b"/mnt/here", kind))
        for major, minor in ((8, 0), (254, 0), (1, 1), (7, 0)):
            device = os.makedev(major, minor)
            attempt(
                f"device {major}:{minor}", lambda device=device: os.mknod(f"/mnt/d{device}", 0o060600, device)
            )
        for name in ("kernel/core_pattern", "kernel/modprobe", "vm/drop_caches", "kernel/sysrq"):
            attempt(name, lambda name=name: os.close(os.open(f"/proc/sys/{name}", os.O_WRONLY)))
        return works

    works = inside(node, nesting, nested)
    assert works.pop("tmpfs") == "ok"
    assert "ok" not in works.values(), works
    answers = inside(node, nesting, answers_to, CALLS)
    odd = {"process_madvise of another": "EBADF"}
    refused = {"EPERM", "ENOSYS", "killed by 31"}
    assert {name: said for name, said in answers.items() if said not in refused and odd.get(name) != said} == {}
