"""The capabilities (capabilities(7)) that root of an environment may have."""

from typing import Final

#: What root inside keeps. Not: AUDIT_CONTROL, AUDIT_READ, BLOCK_SUSPEND, BPF, CHECKPOINT_RESTORE,
#: LINUX_IMMUTABLE, MAC_ADMIN, MAC_OVERRIDE, PERFMON, SYS_MODULE, SYS_PACCT, SYS_RAWIO, SYS_TIME, SYSLOG,
#: WAKE_ALARM. Numbers are those of linux/capability.h.
CAPABILITIES: Final = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_BROADCAST": 11,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_IPC_OWNER": 15,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_BOOT": 22,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_TTY_CONFIG": 26,
    "CAP_MKNOD": 27,
    "CAP_LEASE": 28,
    "CAP_AUDIT_WRITE": 29,
    "CAP_SETFCAP": 31,
}
#: What the strict class takes away beyond that.
STRICT_LACKS: Final = frozenset(
    ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_IPC_LOCK")
)
