"""The seccomp profile: an allow-list for one architecture, everything unknown answers ENOSYS.

Arguments are compared as 64 bits, so a rule that denies a value can be passed by setting high bits
(`socket(40 | 1<<32)` gave an AF_VSOCK socket under a common profile). Hence only equal-to allow-lists
and masked compares here. One architecture, since three cost 18 ms per container; with `compat32` i386 as well.
There `socketcall` is refused whole: its arguments lie in memory, where no filter sees them, and libseccomp
takes a rule about `socket` for one about every `socketcall` that makes a socket.
"""

import platform
from typing import Any

from runtime.answers import NAMES as ANSWERED
from runtime.contract import Allow, JailWalls, SecurityProfile
from runtime.contract.jail import NEW_MOUNTS
from runtime.oci.syscalls import ALLOWED

EPERM, ENOTTY, ENOSYS, EPROTONOSUPPORT = 1, 25, 38, 93
CLONE_NEWUSER = 0x10000000
#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID, NEWNET: linux/sched.h
_OTHER_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x20000000, 0x40000000)

_REFUSED = (
    "acct bpf clock_settime delete_module fanotify_init finit_module init_module ioperm iopl kcmp "
    "kexec_file_load kexec_load mbind migrate_pages modify_ldt move_pages open_by_handle_at perf_event_open "
    "pidfd_getfd quotactl set_mempolicy settimeofday swapoff swapon syslog userfaultfd vhangup"
).split()
#: io_setup(2) takes from a number that the whole machine has once (fs.aio-max-nr: 65 contexts of a thousand
#: were all of it); databases go on without where it isn't there. So do runtimes of containers without keyrings,
#: and not where they are refused.
_ABSENT = (
    "add_key clone3 io_setup io_uring_setup io_uring_enter io_uring_register keyctl memfd_secret request_key "
    "vmsplice"
).split()
#: AF_UNIX, AF_INET, AF_INET6, AF_PACKET
_FAMILIES = (1, 2, 10, 17)
_AF_NETLINK = 16
#: ROUTE, USERSOCK, INET_DIAG, AUDIT and kin: what systemd and iproute2 were measured to need
_NETLINK = (0, 2, 4, 5, 9, 10, 15, 16)
_NETLINK_NETFILTER = 12
#: SOL_SOCKET, TCP, UDP, ICMPV6, UDPLITE, RAW, NETLINK and kin
_LEVELS = (1, 6, 17, 58, 136, 255, 270, 273, 284)
_PACKET = 263
#: PACKET_RX_RING and PACKET_TX_RING: memory of the kernel that no control group is charged for, as much of it
#: as one asks for (four sockets in an environment of 96 MiB held 421 MiB). The other options go up to 24.
_RINGS = (5, 13)
_PACKET_OPTIONS = tuple(number for number in range(1, 25) if number not in _RINGS)
#: `ioctl` requests of type 0x94 (linux/btrfs.h, linux/fs.h) that root inside may make of its own tree: delete
#: subvolumes (15), clone and deduplicate files (9, 13, 54), ask what a tree is and set its read-only flag (18,
#: 25, 26, 31, 60, 61, 62). The others act on the pool as a whole, or hurt it: the newer
#: forms of making (23, 24) name the quota groups that a subvolume joins, and the kernel lets it join none, or
#: another tenant's; with 37 a table of the pool can be made to overflow.
_BTRFS_TYPE = 0x94
_BTRFS = (9, 13, 15, 18, 25, 26, 31, 54, 60, 61, 62)
#: Snapshots and subvolumes: each holds 4 KB of the kernel's memory that nobody is charged for, until long after
#: it was deleted (2,900 are made in the time in which 30 are cleaned). Programs that ask for one take a plain
#: directory where the file system "has no such thing".
_BTRFS_NESTING = (1, 14)
#: What each word of a jail opens, and nobody makes there without it.
_MOUNTING = (
    "umount umount2 pivot_root open_tree open_tree_attr move_mount mount_setattr fspick fsconfig".split()
)
_NEW_MOUNTING = "fsopen fsmount".split()
_OPENED = {
    Allow.SYSVIPC: (
        "shmget shmat shmctl shmdt semget semop semctl semtimedop semtimedop_time64 msgget msgsnd msgrcv msgctl"
        " ipc"
    ).split(),
    Allow.SET_HOSTNAME: "sethostname setdomainname".split(),
    Allow.PROC_DEBUG: "ptrace process_vm_readv process_vm_writev".split(),
}
#: MS_REMOUNT, MS_BIND, MS_MOVE: with one of them mount(2) changes what is mounted, without any it mounts what
#: is new. The kernel drops the upper half of the flags where that is MS_MGC_VAL, so what changes propagation
#: (there by itself, MS_REC beside it) is told by the whole of the upper half. linux/mount.h, fs/namespace.c
_MOVED = (0x20, 0x1000, 0x2000)
_PROPAGATED = (0x20000, 0x40000, 0x80000, 0x100000)
_UPPER = 0xFFFFFFFFFFFF0000
#: AF_UNIX, AF_INET, AF_INET6; and of AF_NETLINK the protocol ROUTE.
_JAIL_FAMILIES, _JAIL_NETLINK = (1, 2, 10), 0
_NETLINK_AUDIT = 9
_PERSONALITIES = (0, 8, 0x20000, 0x20008, 0x40000, 0x40008, 0xFFFFFFFF)

_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


def profile(
    security: SecurityProfile,
    machine: str | None = None,
    *,
    is_answered: bool = False,
    jail: JailWalls | None = None,
) -> dict[str, Any]:
    """`linux.seccomp` of an OCI configuration. `machine` as by uname(2); KeyError for one not supported.

    `is_answered`: there is who answers what a machine is asked of itself (`runtime.answers`).
    `jail`: what is open in one; None: it is none."""
    closed = _closed(jail)
    nesting = security.nesting or (jail is not None and jail.children_max > 0)
    mounts = _mounts(jail)
    elsewhere = {*closed, *(ANSWERED if is_answered else ()), *(["mount"] if mounts else ())}
    names = [name for name in ALLOWED if name not in elsewhere]
    rules = [
        _allow(names),
        *([{"names": list(ANSWERED), "action": "SCMP_ACT_NOTIFY"}] if is_answered else []),
        _errno([name for name in _REFUSED if name not in names], EPERM),
        _errno(_ABSENT, ENOSYS),
        *(_allow(["personality"], _equal(0, value)) for value in _PERSONALITIES),
        *([_errno(closed, EPERM)] if closed else []),
        *mounts,
        *(_sockets(security.firewall) if _has_families(jail) else _jail_sockets()),
        *_socket_options(security.firewall),
        *_namespaces(nesting, may_mount=jail is None or Allow.MOUNT in jail.allow),
        *_ioctls(nesting),
    ]
    architectures = [_ARCHITECTURES[machine or platform.machine()]]
    if security.compat32 and architectures == ["SCMP_ARCH_X86_64"]:
        architectures.append("SCMP_ARCH_X86")
        rules.append(_errno(["socketcall"], EPERM))
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": architectures,
        "syscalls": rules,
    }


def _allow(names: list[str], *arguments: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ALLOW"}
    return {**rule, "args": list(arguments)} if arguments else rule


def _errno(names: list[str], number: int, *arguments: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": number}
    return {**rule, "args": list(arguments)} if arguments else rule


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _sockets(firewall: bool) -> list[dict[str, Any]]:
    protocols = (*_NETLINK, _NETLINK_NETFILTER) if firewall else _NETLINK
    rules = [_allow(["socket"], _equal(0, family)) for family in _FAMILIES]
    rules += [_allow(["socket"], _equal(0, _AF_NETLINK), _equal(2, one)) for one in protocols]
    if not firewall:
        rules.append(_errno(["socket"], EPERM, _equal(0, _AF_NETLINK), _equal(2, _NETLINK_NETFILTER)))
    return rules


def _socket_options(firewall: bool) -> list[dict[str, Any]]:
    """Everything but the xtables options 64 and 65 of the levels IP and IPV6 (IPT_SO_SET_REPLACE), and the
    rings of packet sockets."""
    if firewall:
        return [_allow(["setsockopt"])]
    rules = [_allow(["setsockopt"], _masked(1, 0xFFFFFFFF, level)) for level in _LEVELS]
    packet = _masked(1, 0xFFFFFFFF, _PACKET)
    rules += [_allow(["setsockopt"], packet, _masked(2, 0xFFFFFFFF, one)) for one in _PACKET_OPTIONS]
    rules += [_errno(["setsockopt"], EPERM, packet, _masked(2, 0xFFFFFFFF, one)) for one in _RINGS]
    for level in (0, 41):
        at = _masked(1, 0xFFFFFFFF, level)
        rules.append(_allow(["setsockopt"], at, _masked(2, 0xFFFFFFC0, 0)))
        rules += [_allow(["setsockopt"], at, _masked(2, 0xFFFFFFFE, option)) for option in range(66, 82, 2)]
        rules.append(_errno(["setsockopt"], EPERM, at, _masked(2, 0xFFFFFFFE, 64)))
    return rules


def _closed(jail: JailWalls | None) -> list[str]:
    """Calls that are refused whole, which they are not in anything but a jail."""
    if jail is None:
        return []
    found = [name for word, names in _OPENED.items() if word not in jail.allow for name in names]
    if jail.children_max:
        return found
    if Allow.MOUNT not in jail.allow:
        return [*found, "mount", *_MOUNTING, *_NEW_MOUNTING]
    return found if jail.allows(NEW_MOUNTS) else [*found, *_NEW_MOUNTING]


def _mounts(jail: JailWalls | None) -> list[dict[str, Any]]:
    """Of mount(2), where what is there may be moved and nothing new comes; else it is allowed or refused
    whole."""
    if jail is None or jail.children_max or Allow.MOUNT not in jail.allow or jail.allows(NEW_MOUNTS):
        return []
    rules = [_allow(["mount"], _masked(3, bit, bit)) for bit in _MOVED]
    none = sum(_MOVED)
    for bit in _PROPAGATED:
        rules.append(_allow(["mount"], _masked(3, _UPPER | none, bit)))
    return [*rules, _errno(["mount"], EPERM, _masked(3, none | sum(_PROPAGATED), 0))]


def _has_families(jail: JailWalls | None) -> bool:
    return jail is None or Allow.SOCKET_AF in jail.allow


def _jail_sockets() -> list[dict[str, Any]]:
    """What is left out answers ENOSYS, as all that is unknown; but the audit, which programs that sign people
    in do without where the kernel says that it has none (audit_open(3))."""
    rules = [_allow(["socket"], _equal(0, family)) for family in _JAIL_FAMILIES]
    rules.append(_allow(["socket"], _equal(0, _AF_NETLINK), _equal(2, _JAIL_NETLINK)))
    audit = _errno(["socket"], EPROTONOSUPPORT, _equal(0, _AF_NETLINK), _equal(2, _NETLINK_AUDIT))
    return [*rules, audit]


def _namespaces(nesting: bool, *, may_mount: bool) -> list[dict[str, Any]]:
    """Without `may_mount` none of any kind: what is one's own in them is mounts."""
    names = ["clone", "unshare"]
    if nesting:
        return [_allow(names)]
    closed = [CLONE_NEWUSER, *(() if may_mount else _OTHER_NAMESPACES)]
    return [
        _allow(names, _masked(0, sum(closed), 0)),
        *(_errno(names, EPERM, _masked(0, one, one)) for one in closed),
    ]


def _ioctls(nesting: bool) -> list[dict[str, Any]]:
    """Every request whose type isn't that of btrfs, and some of those. "Isn't" by an equal-to list: one bit of
    the type at least is the other way round."""
    rules = []
    for bit in range(8, 16):
        mask = 1 << bit
        rules.append(_allow(["ioctl"], _masked(1, mask, mask & ~(_BTRFS_TYPE << 8))))
    rules += [_allow(["ioctl"], _of_btrfs(number)) for number in _BTRFS]
    for number in _BTRFS_NESTING:
        one = _of_btrfs(number)
        rules.append(_allow(["ioctl"], one) if nesting else _errno(["ioctl"], ENOTTY, one))
    return rules


def _of_btrfs(number: int) -> dict[str, Any]:
    return _masked(1, 0xFFFF, _BTRFS_TYPE << 8 | number)
