"""Host-wide settings that a machine with hostile tenants should have, and why; applied only by `harden`."""

from pathlib import Path

#: name: (value, why). From kernel documentation (admin-guide/sysctl) and the kernel self-protection project.
SYSCTLS: dict[str, tuple[str, str]] = {
    "kernel.dmesg_restrict": ("1", "the kernel log shows addresses and other tenants' crashes"),
    "kernel.kptr_restrict": ("2", "kernel addresses help exploits"),
    "kernel.unprivileged_bpf_disabled": ("2", "bpf programs of users were the way into many kernels"),
    "kernel.perf_event_paranoid": ("3", "performance counters see other processes"),
    "kernel.io_uring_disabled": ("2", "a large and young part of the kernel"),
    "kernel.sysrq": ("0", "no keys for the kernel"),
    "kernel.core_pattern": ("core", "a pipe here runs as root of the host when a tenant's process crashes"),
    "fs.suid_dumpable": ("0", "no memory dumps of privileged programs"),
    "kernel.kexec_load_disabled": ("1", "no other kernel without a reboot"),
    "kernel.pid_max": ("4194304", "so that the sum of all environments' processes fits"),
    "kernel.keys.maxkeys": ("2000", "keys are counted per user id, and each environment has its own"),
    "kernel.keys.maxbytes": ("2000000", "as above, in bytes"),
    "kernel.pty.max": ("16384", "terminals of many environments; 36 KB each, charged to nobody"),
    "kernel.pty.reserve": ("1024", "terminals kept for the host"),
    "fs.file-max": (
        "9223372036854775807",
        "open files are charged as memory; else one has half of all",
    ),
    "user.max_net_namespaces": ("1024", "of each user id, so of each environment; half of each is uncharged"),
    "user.max_ipc_namespaces": ("1024", "of each user id, so of each environment; half of each is uncharged"),
    "dev.tty.legacy_tiocsti": ("0", "no typing into other people's terminals"),
    "fs.protected_symlinks": ("1", "no link traps in shared directories"),
    "fs.protected_hardlinks": ("1", "no link traps in shared directories"),
    "fs.protected_fifos": ("2", "no fifo traps in shared directories"),
    "fs.protected_regular": ("2", "no file traps in shared directories"),
    "fs.inotify.max_user_instances": ("1024", "systemd in every environment watches files"),
    "fs.inotify.max_user_watches": ("524288", "systemd in every environment watches files"),
    "vm.unprivileged_userfaultfd": ("0", "makes races in the kernel easy to win"),
    "vm.mmap_min_addr": ("65536", "null pointers stay null"),
    "net.core.bpf_jit_harden": ("2", "no code of users in kernel memory"),
    "net.ipv4.neigh.default.gc_thresh1": ("4096", "neighbour entries for many environments"),
    "net.ipv4.neigh.default.gc_thresh2": ("6144", "neighbour entries for many environments"),
    "net.ipv4.neigh.default.gc_thresh3": ("8192", "neighbour entries for many environments"),
    "net.ipv6.neigh.default.gc_thresh1": ("4096", "neighbour entries for many environments"),
    "net.ipv6.neigh.default.gc_thresh2": ("6144", "neighbour entries for many environments"),
    "net.ipv6.neigh.default.gc_thresh3": ("8192", "neighbour entries for many environments"),
    "net.ipv4.conf.all.accept_redirects": ("0", "nobody may change the host's routes"),
    "net.ipv4.conf.all.send_redirects": ("0", "the host doesn't change others' routes"),
    "net.ipv4.conf.all.accept_source_route": ("0", "senders don't choose the way"),
    "net.ipv6.conf.all.accept_redirects": ("0", "nobody may change the host's routes"),
    "net.netfilter.nf_conntrack_max": ("1048576", "flows of many environments"),
}


def path_of(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def differing() -> list[tuple[str, str | None, str, str]]:
    """(name, value now or None when this kernel hasn't it, wanted value, why) of each that differs.

    A value that is stricter or larger than wanted counts as right.
    """
    found = []
    for name, (wanted, why) in SYSCTLS.items():
        try:
            now: str | None = path_of(name).read_text().strip()
        except OSError:
            now = None
        if now != wanted and not _better(name, now, wanted):
            found.append((name, now, wanted, why))
    return found


#: Where less is fine instead.
_SHRINKING = "user.max_"
_GROWING = ("max", "thresh", "pid_max", "min_addr", "reserve", "restrict", "paranoid", "disabled", "protected")


def _better(name: str, now: str | None, wanted: str) -> bool:
    """For sizes and levels, more than wanted is fine; for what each user may have, less."""
    if name.startswith(_SHRINKING):
        return now is not None and now.isdigit() and int(now) <= int(wanted)
    grows = any(word in name for word in _GROWING)
    return grows and now is not None and now.isdigit() and int(now) >= int(wanted)
