"""Mounts: what is mounted where, and id-mapped views of a directory (mount_setattr(2))."""

import errno
import os
import threading
import time
from pathlib import Path

from runtime.contract.words import advice, refusals
from runtime.errors import RuntimeFault
from runtime.host import libc


def is_mounted(path: Path) -> bool:
    """Whether something is mounted on exactly this path, in this process's mount namespace."""
    try:
        here, above = path.lstat(), path.parent.lstat()
    except FileNotFoundError:
        return False
    if here.st_dev != above.st_dev:
        return True
    wanted = _escaped(path)
    return any(line.split()[4] == wanted for line in mount_table())


def mount_table() -> list[str]:
    """Lines of /proc/self/mountinfo (proc_pid_mountinfo(5))."""
    return Path("/proc/self/mountinfo").read_text().splitlines()


def mounted_below(path: Path) -> list[Path]:
    """Mount points directly in this directory."""
    prefix = _escaped(path) + "/"
    points = {line.split()[4] for line in mount_table()}
    return [Path(point) for point in points if point.startswith(prefix) and "/" not in point[len(prefix) :]]


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\134").replace(" ", "\\040")


def unmount(path: Path) -> bool:
    """Detach what is mounted here; False when nothing is."""
    try:
        libc.umount(str(path), libc.MNT_DETACH)
    except OSError as error:
        if error.errno in (22, 2):  # EINVAL: no mount point; ENOENT
            return False
        raise RuntimeFault(refusals.not_unmounted(path.name, str(error.strerror))) from error
    return True


def mount_idmapped(
    source: Path | int,
    target: Path | int,
    *,
    namespace: int,
    may_set_ids: bool = True,
    read_only: bool = False,
) -> None:
    """Shows `source` at `target` with the ids of the disk as what they are, outside, in a user namespace; each
    is a path, or a descriptor of a directory.

    The view allows set-user-id programs (they only reach ids of the mapping), unless it may not, and no device
    files, whatever the flags of the mount that `source` lies on.
    """
    refused = libc.MOUNT_ATTR_NODEV | (0 if may_set_ids else libc.MOUNT_ATTR_NOSUID)
    refused |= libc.MOUNT_ATTR_RDONLY if read_only else 0
    try:
        of = source if isinstance(source, int) else str(source)
        tree = libc.open_tree(of, libc.OPEN_TREE_CLONE | libc.OPEN_TREE_CLOEXEC)
        try:
            libc.mount_setattr(
                tree,
                libc.MountAttr(
                    attr_set=libc.MOUNT_ATTR_IDMAP | refused,
                    attr_clr=(libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NOEXEC) & ~refused,
                    userns_fd=namespace,
                ),
            )
            libc.move_mount(tree, target if isinstance(target, int) else str(target))
        finally:
            os.close(tree)
    except OSError as error:
        raise RuntimeFault(
            refusals.not_id_mapped(str(error.strerror)),
            code="idmap_failed",
            next_step=advice.newer_kernel(),
        ) from error


def pin_namespace(namespace: int, file: Path) -> None:
    """Keeps a namespace by a name, until `unmount`."""
    file.touch(mode=0o600)
    libc.mount(f"/proc/self/fd/{namespace}", str(file), "", libc.MS_BIND)


def user_namespace(first_uid: int, count: int) -> int:
    """A descriptor of a new user namespace that maps 0..count-1 to first_uid.. of the host.

    A short-lived child makes it; the descriptor keeps it alive. The child is `first_uid` by then, and so
    the namespace's owner is: what the kernel counts by user (inotify instances, message queues, pending
    signals) it counts for the owner too, and would for all environments together if that were root.
    """
    return _made_by_child(libc.CLONE_NEWUSER, ("user",), first_uid, count)[0]


def user_and_network_namespace(first_uid: int, count: int) -> tuple[int, int]:
    """As `user_namespace`, and a descriptor of a new network namespace that belongs to it."""
    user, network = _made_by_child(libc.CLONE_NEWUSER | libc.CLONE_NEWNET, ("user", "net"), first_uid, count)
    return user, network


def pin_time_namespace(file: Path) -> bool:
    """Keeps by a name, until `unmount`, a new time namespace in which the machine has just been started; False
    where the kernel has no such namespaces (time_namespaces(7)).

    It belongs to the host's user namespace, so nobody inside may set its clocks; a thread makes it and goes.
    """
    fault: list[OSError] = []

    def work() -> None:
        try:
            libc.unshare(libc.CLONE_NEWTIME)
            own = Path("/proc") / str(threading.get_native_id())
            (own / "timens_offsets").write_text(
                f"monotonic {_until_now(time.CLOCK_MONOTONIC)}\nboottime {_until_now(time.CLOCK_BOOTTIME)}\n"
            )
            file.touch(mode=0o600)
            libc.mount(str(own / "ns/time_for_children"), str(file), "", libc.MS_BIND)
        except OSError as error:
            fault.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if not fault:
        return True
    if fault[0].errno in (errno.EINVAL, errno.ENOSYS, errno.ENOENT):
        return False
    raise RuntimeFault(refusals.no_time_namespace(str(fault[0].strerror)), code="host_lacks") from fault[0]


def _until_now(clock: int) -> str:
    """What takes this clock back to zero: seconds, and the nanoseconds that are added to them."""
    seconds, nanoseconds = divmod(-time.clock_gettime_ns(clock), 10**9)
    return f"{seconds} {nanoseconds}"


def _made_by_child(flags: int, names: tuple[str, ...], first_uid: int, count: int) -> list[int]:
    mapping = f"0 {first_uid} {count}\n"
    made: list[int] = []
    try:
        with libc.idle_child(flags, first_uid) as child:
            Path(f"/proc/{child}/uid_map").write_text(mapping)
            Path(f"/proc/{child}/gid_map").write_text(mapping)
            for name in names:
                made.append(os.open(f"/proc/{child}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        for namespace in made:
            os.close(namespace)
        raise RuntimeFault(refusals.no_namespace(str(error.strerror)), code="host_lacks") from error
    return made
