"""Makes a machine a node, and lets a process of ours enter it.

The pool and the VEs' mounts live in a mount namespace of the node's own, pinned by a file, so that
no process of ours has to stay alive for them, and nothing of the host's own mounts is touched. There
the node sees a hierarchy of cgroup2 beside those of v1 in a way that Debian 12's crun works with.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from runtime import answering, claims, devices, pool, views
from runtime.contract.said import plain
from runtime.errors import HostLacks, RuntimeFault
from runtime.host import cgroup, fuse, libc, mount_namespace, mounts, processes, task_room
from runtime.host.command import ENVIRONMENT
from runtime.node import FIRST_UID, Node, NodeSettings
from runtime.pool import OfPool
from runtime.sandboxes import sandbox_of

Say = Callable[[str], None]
Networks = tuple[IPv4Network | None, IPv6Network | None]


def _quiet(_: str) -> None:
    return None


def prepare(
    home: Path,
    *,
    network_namespace: str | None = None,
    ipv4_network: IPv4Network | None = None,
    ipv6_network: IPv6Network | None = None,
    of_pool: OfPool = OfPool(),  # noqa: B008 (frozen)
    say: Say = _quiet,
) -> Node:
    """Everything on this machine that VEs need; a no-op where it is there. Run as root, at each start.

    The networks are those of a new node's environments; without them it chooses (`runtime.claims`). So is
    `of_pool`; without it the pool is a sparse file.
    `say` gets one line for each thing that was made. Leaves the calling process inside the node's
    namespaces. Raises `RuntimeFault` when the host lacks something.
    """
    if os.geteuid() != 0:
        raise HostLacks(plain("a node is prepared by root"), next_step=plain("Run it with sudo."))
    node = _settings(home, network_namespace, (ipv4_network, ipv6_network), of_pool, say)
    _directories(node)
    if pin_mount_namespace(node):
        say("mount namespace of the node")
    enter(node)
    if show_unified():
        say("control groups that environments may divide")
    if devices.keep(node):
        say("nodes of the devices that environments have or may be given")
    if devices.keep_given(node):
        say("a place for the host's devices that environments are given")
    if show_devices(node):
        say("the host's devices can't be given away")
    for changed in sandbox_of(node).prepare_host():
        say(changed)
    if fuse.keep(node):
        say("control of the file systems that environments serve themselves")
    if views.keep(node):
        say("what environments see of /proc and /sys")
    if pool.mount(node):
        say(f"disk pool {node.settings.pool_device or node.pool_file}")
    pool.hide(node)
    pool.enable_quota(node)
    most = task_room.for_environments()
    if cgroup.groups().bound_tasks(node.cgroup_name, most):
        say(f"at most {most} tasks for all environments, the rest is the host's")
    if start_lxcfs(node):
        say("lxcfs (limits seen in /proc)")
    if answering.start(node):
        say("answers of sysinfo(2) and statfs(2) with limits")
    from runtime.resources import firewall  # noqa: PLC0415 (loads libnftables)

    for changed in firewall.prepare(node):
        say(changed)
    return node


def _settings(home: Path, network_namespace: str | None, networks: Networks, of_pool: OfPool, say: Say) -> Node:
    file = home / "node" / "node.json"
    if file.exists():
        node = Node.load(home)
        _keep_networks(node, networks)
        _keep_pool(node, of_pool)
        claims.note(home)
        return node
    if of_pool.device and of_pool.is_written:
        raise HostLacks(
            plain("a pool on a device has all of it from the start"),
            next_step=plain("Leave --pool-preallocate out."),
        )
    with claims.choosing(home, *networks) as chosen:
        update: dict[str, object] = {}
        if network_namespace:
            path = network_namespace if "/" in network_namespace else f"/run/netns/{network_namespace}"
            update["network_namespace"] = path
        free = shutil.disk_usage(_existing(home)).free
        if of_pool.device:
            update |= pool.on_device(of_pool.device, chosen)
        elif chosen.pool_bytes > free:
            # the loop file is sparse; never promise more than half of what the disk has
            update["pool_bytes"] = max(2 * 2**30, free // 2)
        update["pool_is_written"] = of_pool.is_written
        settings = NodeSettings.model_validate({**chosen.model_dump(), **update})
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(json.dumps(settings.model_dump(mode="json"), indent=2) + "\n")
    say(f"node settings {file}: environments in {settings.ipv4_network} and {settings.ipv6_network}")
    node = Node(home=home, settings=settings)
    for other in claims.sharing(node):
        say(f"! no block of user ids is free: it has that of {other} too")
    return node


def _keep_networks(node: Node, networks: Networks) -> None:
    """Environments have addresses of the ones that were chosen first."""
    for wanted, has in zip(networks, (node.settings.ipv4_network, node.settings.ipv6_network), strict=True):
        if wanted is not None and wanted != has:
            raise HostLacks(
                plain(f"the node has the network {has} since it was made, not {wanted}"),
                next_step=plain("Leave the option out, or make a new installation with it."),
            )


def _keep_pool(node: Node, of_pool: OfPool) -> None:
    """What is in it can't change its place."""
    has = node.settings.pool_device or str(node.pool_file)
    if of_pool.device and of_pool.device != node.settings.pool_device:
        raise HostLacks(
            plain(f"the node has its pool in {has} since it was made, not in {of_pool.device}"),
            next_step=plain("Leave --pool-device out, or make a new installation with it."),
        )
    if of_pool.is_written and not node.settings.pool_is_written:
        raise HostLacks(
            plain(f"the pool in {has} was made without --pool-preallocate, and stays as it is"),
            next_step=plain("Leave the option out, or make a new installation with it."),
        )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _directories(node: Node) -> None:
    node.home.mkdir(mode=0o755, parents=True, exist_ok=True)
    node.root.mkdir(mode=0o700, exist_ok=True)
    node.root.chmod(0o700)
    for name in ("ns", "store", "environments", "slots", "tombstones", "images"):
        (node.root / name).mkdir(mode=0o700, exist_ok=True)
    node.run.mkdir(mode=0o755, exist_ok=True)
    pins = (node.mounts / name for name in ("roots", "disks", "users", "networks", "times"))
    for path in (node.mounts, *pins, node.devices, node.given, node.views, node.lxcfs, node.temporary):
        path.mkdir(mode=0o711, exist_ok=True)
        if path not in (
            node.lxcfs,
            node.devices,
            node.given,
            node.views,
        ):  # what is mounted there has a mode of its own
            path.chmod(0o711)
    for path in (node.oci_root, node.exits, node.pending, node.run / "locks"):
        path.mkdir(mode=0o700, exist_ok=True)
        seen = path.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != 0:
            raise HostLacks(
                plain(f"{path} isn't a directory of root's: somebody else put it there"),
                next_step=plain(f"Find out who did, then: rm -rf {path}"),
            )


# the mount namespace ---------------------------------------------------------------------------


def is_pinned(node: Node) -> bool:
    """Whether the node's mount namespace is there (seen from the host's)."""
    wanted = str(node.mount_namespace)
    return any(line.split()[4] == wanted for line in mounts.mount_table())


def pin_mount_namespace(node: Node) -> bool:
    """Makes the node's mount namespace and pins it to a file; False when it is there."""
    if is_pinned(node) or _inside(node):
        return False
    directory = node.mount_namespace.parent
    if not mounts.is_mounted(directory):
        libc.mount(str(directory), str(directory), "", libc.MS_BIND)
    libc.mount("", str(directory), "", libc.MS_PRIVATE)
    if node.settings.network_namespace and not mounts.is_mounted(node.host_network):
        node.host_network.touch(mode=0o600)
        libc.mount("/proc/self/ns/net", str(node.host_network), "", libc.MS_BIND)
    node.mount_namespace.touch(mode=0o600)
    try:
        mount_namespace.pin_new(node.mount_namespace)
    except OSError as refused:
        raise HostLacks(plain(f"a mount namespace for the node can't be made: {refused.strerror}")) from refused
    return True


def show_unified() -> bool:
    """A hierarchy of cgroup2 beside those of v1, in the node's mount namespace; False when it is there, or the
    host has cgroup2 alone.

    crun 1.8 refuses one that has a controller, whether or not anybody uses it, and looks at a file of the top
    group: an empty one lies over it. Raises `HostLacks`.
    """
    unified = cgroup.ROOT / "unified"
    seen = unified / "cgroup.controllers"
    if cgroup.version() == 2 or mounts.is_mounted(seen):
        return False
    flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    try:
        if not seen.exists():
            unified.mkdir(exist_ok=True)
            libc.mount("wadah", str(unified), "cgroup2", flags)
        libc.mount(os.devnull, str(seen), "", libc.MS_BIND)
    except OSError as error:
        raise HostLacks(
            plain(f"cgroup2 can't be mounted at {unified}: {error.strerror}"),
            next_step=plain("Boot with systemd.unified_cgroup_hierarchy=1."),
        ) from error
    return True


def show_devices(node: Node) -> bool:
    """Shows nodes of our own as /dev/null and its kin in the node's mount namespace; False when it is so.

    The OCI runtime hands its standard streams to root of an environment by chown, and conmon opens
    /dev/null for them: the host's own would belong to a tenant, who may take everybody's rights to it.
    Writing to a device goes on through a read-only mount; changing its owner or mode doesn't.
    """
    null = Path(os.devnull)
    if null.stat().st_dev == node.devices.stat().st_dev:
        return False
    while mounts.unmount(null):  # of an earlier version: itself, read-only
        pass
    seen = null.stat()
    if seen.st_uid >= FIRST_UID:  # given away before
        os.chown(null, 0, 0)
        null.chmod(0o666)
    for name in devices.USUAL:
        libc.mount(str(node.devices / name), f"/dev/{name}", "", libc.MS_BIND)
    return True


def _inside(node: Node) -> bool:
    """Whether this process is in the node's namespace already: only there the store is a mount."""
    return mounts.is_mounted(node.store)


def enter(node: Node) -> None:
    """This process joins the node's mount namespace and, when it has one, its network namespace.

    To be called before threads start: a process with threads can't change its mount namespace.
    A no-op when it is there already. Raises `HostLacks` when the node isn't prepared.
    """
    if node.settings.network_namespace:
        _join(Path(node.settings.network_namespace), libc.CLONE_NEWNET)
    if _inside(node):
        return
    if threading.active_count() > 1:
        raise RuntimeFault(plain("a process with threads can't enter the node's mount namespace"))
    if not is_pinned(node):
        raise HostLacks(
            plain(f"the node in {node.home} isn't prepared"),
            next_step=plain("Run `./wadah up` (or `node prepare`)."),
        )
    where = Path.cwd()
    _join(node.mount_namespace, libc.CLONE_NEWNS)
    with suppress(OSError):
        os.chdir(where)


def _join(path: Path, kind: int) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostLacks(plain(f"the namespace {path} can't be opened: {error.strerror}")) from error
    try:
        libc.setns(fd, kind)
    except OSError as error:
        raise HostLacks(plain(f"the namespace {path} can't be entered: {error.strerror}")) from error
    finally:
        os.close(fd)


# lxcfs -----------------------------------------------------------------------------------------


#: What lxcfs may allocate: it keeps a copy of a file for each time that it is open, some 2 KB, so that this is
#: reached by 40,000 of all environments together. Who opens one more is told ENOMEM.
LXCFS_BYTES = 96 * 2**20
#: Stacks of threads count as well, and would be 8 MiB each.
_LXCFS_STACK_BYTES = 512 * 2**10
_LXCFS_ENDS_S = 10


def start_lxcfs(node: Node) -> bool:
    """Starts lxcfs in the node's mount namespace; False when it runs. It outlives us, as the VEs do.

    Its file system is read-only as a whole: as root of the host it opens and writes whatever file of the host's
    it is asked for, and what is mounted read-only in one place root inside mounts anew.
    """
    if mounts.is_mounted(node.lxcfs):
        if (node.lxcfs / "proc" / "meminfo").exists():
            _keep_read_only(node.lxcfs)
            return False
        mounts.unmount(node.lxcfs)  # its process is gone
    if shutil.which("lxcfs") is None:
        return False
    log = os.open(node.root / "lxcfs.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [
                *("prlimit", f"--stack={_LXCFS_STACK_BYTES}", f"--data={LXCFS_BYTES}"),
                *("lxcfs", "-o", "ro"),
                "--enable-cfs",
                "--enable-loadavg",
                "--pidfile",
                str(node.run / "lxcfs.pid"),
                str(node.lxcfs),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ENVIRONMENT,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(log)
    until = time.monotonic() + 10
    while not (node.lxcfs / "proc" / "meminfo").exists():
        if process.poll() is not None or time.monotonic() > until:
            raise HostLacks(plain("lxcfs did not start"), next_step=plain(f"See {node.root / 'lxcfs.log'}."))
        time.sleep(0.02)
    return True


def _keep_read_only(mount_point: Path) -> None:
    """The whole file system, wherever else it is shown; a no-op when it is so."""
    if not os.statvfs(mount_point).f_flag & os.ST_RDONLY:
        flags = libc.MS_REMOUNT | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV
        libc.mount("", str(mount_point), "", flags)


# taking it away ----------------------------------------------------------------------------------


def dismantle(node: Node) -> None:
    """Takes away all that `prepare` made on the host; to be called when no environment is left.

    The caller stands in the host's mount namespace. Files below HOME stay for the caller to delete.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if is_pinned(node):
                enter(node)
                from runtime.resources import firewall  # noqa: PLC0415

                firewall.teardown(node)
                _remove_groups(node)
                _stop_lxcfs(node)
                answering.stop(node)
                mounts.unmount(node.store)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeFault(
            plain("the node could not be dismantled wholly"),
            next_step=plain("See the lines above."),
        )
    for pin in (node.mount_namespace, node.host_network, node.mount_namespace.parent):
        mounts.unmount(pin)
    shutil.rmtree(node.mounts, ignore_errors=True)
    pool.let_go(node)
    claims.forget(node.home)


def _remove_groups(node: Node) -> None:
    groups = cgroup.groups()
    groups.kill(node.cgroup_name)
    groups.remove(node.cgroup_name)


def _stop_lxcfs(node: Node) -> None:
    """Its process has ended when this returns: whoever looks after `down` finds nothing."""
    found = None
    with suppress(OSError, ValueError):
        found = processes.roots(int((node.run / "lxcfs.pid").read_text()), "lxcfs", str(node.lxcfs))
    if found is None:
        mounts.unmount(node.lxcfs)
        return
    with suppress(ProcessLookupError), found.held() as held:
        held.send(signal.SIGTERM)
        mounts.unmount(node.lxcfs)  # it waits for those who have it open
        if not held.ends_within(_LXCFS_ENDS_S):
            held.send(signal.SIGKILL)
            held.ends_within(_LXCFS_ENDS_S)
    mounts.unmount(node.lxcfs)
