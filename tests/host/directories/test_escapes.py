"""Ways out of a directory, each tried from inside. What gets out, or further than it may, prints ESCAPED."""

import os
import platform
import shutil
from collections.abc import Callable

import pytest

from runtime.console.exec import run_command
from runtime.console.terminals import close_terminal, open_terminal
from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.storage.files import Files

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls are x86-64's")

#: struct vfs_cap_data of linux/capability.h, version 2, effective: all below 32.
_CAPABLE = bytes.fromhex("01000002ffffffff000000000000000000000000")
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000


def _call(number: int, *arguments: object) -> str:
    """A line of Perl that makes this system call."""
    words = ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in arguments)
    comma = ", " if words else ""
    return f"perl -e 'print \"ESCAPED\\n\" if syscall({number}{comma}{words}) >= 0'"


PROBES = {
    "chroot in chroot": (
        "mkdir -p ~/c; chroot ~/c /bin/true && echo ESCAPED; chroot / /bin/true && echo ESCAPED"
    ),
    "chroot as a call": 'perl -e \'print "ESCAPED\\n" if chroot("/tmp")\'',
    "above the root": "cd /; cd ../../../..; [ -d ./home/user ] || echo ESCAPED",
    "the root of the first process": (
        'for p in /proc/[0-9]*; do [ "$(stat -Lc %d:%i $p/root/..)" = "$(stat -c %d:%i /)" ]'
        " || echo ESCAPED; done"
    ),
    "the first process is one's own": '[ "$(cat /proc/1/comm)" = bash ] || echo ESCAPED',
    "descriptors that were left open": (
        "for f in /proc/1/fd/*; do case $(readlink $f) in pipe:*|/dev/null|'') ;; *) echo ESCAPED;; esac; done"
    ),
    "devices of disks": "mknod ~/disk b 7 0 && echo ESCAPED; mknod ~/mem c 1 1 && echo ESCAPED",
    "devices that are there": (
        "for d in /dev/*; do case $d in *mem|*loop*|*sd*|*kmsg|*fuse) echo ESCAPED;; esac; done"
    ),
    "set-user-id copy": (
        "cp /bin/bash ~/b; chmod 4755 ~/b; "
        "chown 0:0 ~/b && echo ESCAPED; [ $(~/b -pc 'id -u') = 0 ] && echo ESCAPED"
    ),
    "programs are not his": (
        "echo x >> /bin/bash && echo ESCAPED; mv /etc /tmp/e && echo ESCAPED; rm -f /lib && echo ESCAPED"
    ),
    "who may log in is not his": "echo root2::0:0::/:/bin/sh >> /etc/passwd && echo ESCAPED",
    "mount": _call(165, "tmpfs", "/tmp", "tmpfs", 0, 0),
    "new mounts": _call(430, "tmpfs", 0),
    "move the root": _call(155, "/home/user", "/home/user"),
    "user namespaces": _call(272, CLONE_NEWUSER) + "; " + _call(272, CLONE_NEWUSER | CLONE_NEWNS),
    "network namespaces": _call(272, CLONE_NEWNET),
    "clone3": _call(435, 0, 88) + "; " + _call(56, CLONE_NEWUSER | 17, 0, 0, 0, 0),
    "join another namespace": "exec 7</proc/1/ns/mnt; " + _call(308, 7, 0),
    "trace": _call(101, 16, 1, 0, 0) + "; " + _call(310, 1, 0, 0, 0, 0, 0),
    "files by handle": _call(304, -100, "x", 0) + "; " + _call(303, -100, "/", 0, 0, 0),
    "sockets of networks": "; ".join(
        f"perl -e 'print \"ESCAPED\\n\" if socket(S, {family}, {kind}, 0)'"
        for family, kind in ((2, 1), (10, 1), (16, 3), (17, 3), (40, 1), (38, 5))
    ),
    "a socket past the filter": _call(41, 40 | 1 << 32, 1, 0) + "; " + _call(41, 2 | 1 << 32, 1, 0),
    "a way to the host": "(exec 3<>/dev/tcp/127.0.0.1/22) 2>/dev/null && echo ESCAPED",
    "sockets of others": "[ $(wc -l < /proc/self/net/unix) -le 1 ] || echo ESCAPED",
    "what the kernel does more": "; ".join(_call(one, 0, 0, 0) for one in (321, 425, 250, 323, 298, 248)),
    "what tells of the machine": (
        "for f in meminfo cpuinfo kallsyms sys kcore sysrq-trigger; do [ -e /proc/$f ] && echo ESCAPED; done"
    ),
    "reboot": _call(169, 0xFEE1DEAD, 672274793, 0x1234567, 0),
    "become root": _call(105, 0) + "; " + _call(117, 0, 0, 0) + "; " + _call(126, 0, 0),
    "processes of others": "kill -9 -1; [ $(ls -d /proc/[0-9]* | wc -l) -le 4 ] || echo ESCAPED",
    "host name": _call(170, "other", 5),
}


@pytest.fixture
def armed(directory: Callable[..., EnvironmentSpec]) -> EnvironmentSpec:
    """With programs to attack with."""
    return directory(programs=("perl", "mknod", "chroot"))


def test_nothing_gets_out(node: Node, armed: EnvironmentSpec) -> None:
    assert run_command(node, armed.id, ["/usr/bin/perl", "-e", "print 1"]).stdout == b"1"
    out = {}
    for name, line in PROBES.items():
        done = run_command(node, armed.id, ["/bin/bash", "-c", f"{line}; echo tried"], timeout_s=20)
        if b"ESCAPED" in done.stdout or b"tried" not in done.stdout:
            out[name] = (done.exit_code, done.stdout, done.stderr)
    assert out == {}


def test_what_others_put_there_gives_no_privilege(node: Node, armed: EnvironmentSpec) -> None:
    """Set-user-id and file capabilities that came by another way: a backup, or an administrator."""
    root = node.root_volume(armed.id)
    shutil.copy(root / "usr/bin/bash", root / "usr/bin/rootsh")
    os.chown(root / "usr/bin/rootsh", 0, 0)
    (root / "usr/bin/rootsh").chmod(0o4755)
    done = run_command(node, armed.id, ["/usr/bin/rootsh", "-p", "-c", "id -u; id -g; echo x > /etc/x"])
    assert done.stdout == b"1000\n1000\n"
    assert not (root / "etc/x").exists()
    shutil.copy(root / "usr/bin/perl", root / "usr/bin/capable")
    os.setxattr(
        root / "usr/bin/capable",
        "security.capability",
        bytes.fromhex("01000002ffffffff000000000000000000000000"),
    )
    done = run_command(
        node, armed.id, ["/usr/bin/capable", "-e", 'print chown(0, 0, "/tmp") ? "ESCAPED" : "held"']
    )
    assert b"ESCAPED" not in done.stdout


def test_a_device_that_is_there_opens_for_nobody(node: Node, armed: EnvironmentSpec) -> None:
    os.mknod(node.root_volume(armed.id) / "tmp/mem", 0o20666, os.makedev(1, 1))
    os.mknod(node.root_volume(armed.id) / "tmp/null", 0o20666, os.makedev(1, 3))
    done = run_command(node, armed.id, ["/bin/bash", "-c", "cat /tmp/mem; cat /tmp/null; echo x > /tmp/null"])
    assert done.stderr.count(b"Permission denied") == 3, done.stderr


def test_links_lead_nobody_out(node: Node, armed: EnvironmentSpec) -> None:
    """Nor whoever looks at its files from outside."""
    lines = "ln -s /etc/shadow ~/s; ln -s /proc/1/root ~/r; ln -s ../../../../../etc ~/d; mkfifo ~/f; cat ~/s"
    done = run_command(node, armed.id, ["/bin/bash", "-c", lines])
    assert b"No such file" in done.stderr
    for path in (b"home/user/s", b"home/user/r/etc/shadow", b"home/user/d/shadow", b"home/user/f"):
        with pytest.raises(RuntimeFault):
            Files(node).opened(armed.id, None, path)


def test_one_takes_no_more_than_it_has(node: Node, armed: EnvironmentSpec) -> None:
    bomb = "for i in $(seq 200); do sleep 9 & done; ls -d /proc/[0-9]* | wc -l"
    done = run_command(node, armed.id, ["/bin/bash", "-c", bomb], timeout_s=30)
    assert b"Resource temporarily unavailable" in done.stderr
    full = run_command(node, armed.id, ["/bin/bash", "-c", "head -c 200M /dev/zero > ~/big"], timeout_s=60)
    assert b"Disk quota exceeded" in full.stderr
    greedy = ["/usr/bin/perl", "-e", "$x = 'x' x 3e8; print 'got it'"]
    fat = run_command(node, armed.id, greedy, timeout_s=60)
    assert (fat.exit_code, fat.stdout) == (137, b""), fat
    assert sandbox_of(node).members(armed.id) == []


def test_two_sessions_see_nothing_of_each_other_but_files(node: Node, armed: EnvironmentSpec) -> None:
    open_terminal(node, armed.id, "other")
    done = run_command(node, armed.id, ["/bin/bash", "-c", "echo /proc/[0-9]*; ls /dev/pts"])
    assert done.stdout == b"/proc/1\nptmx\n"
    close_terminal(node, armed.id, "other")
