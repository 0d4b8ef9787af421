"""What root inside makes of the group that is handed to it must not outlive it, nor grow without end."""

from runtime.contract import DesiredState, Limits, ObservedState
from runtime.engine import Engine
from runtime.host.cgroup.base import LEAST_GROUPS, MOST_DEPTH
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs


def _dig(top: str) -> int:
    """Groups one in another, as deep as the kernel lets it."""
    import os

    os.chdir(top)
    depth = 0
    try:
        while depth < 3000:
            os.mkdir("d")
            os.chdir("d")
            depth += 1
    except OSError:
        pass
    return depth


def _spread(top: str) -> int:
    import os

    made = 0
    try:
        while made < 5000:
            os.mkdir(f"{top}/s{made}")
            made += 1
    except OSError:
        pass
    return made


def test_b04_groups_in_groups_do_not_outlive_it(
    node: Node, make: Make, image: str, engine: Engine, specs: Specs
) -> None:
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=64, disk_mb=64))
    assert inside(node, spec, _dig, "/sys/fs/cgroup") <= MOST_DEPTH
    assert 0 < inside(node, spec, _spread, "/sys/fs/cgroup") <= LEAST_GROUPS
    report = engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message


def test_b04_no_other_hierarchy_takes_a_group(node: Node, make: Make, image: str) -> None:
    """Each that the kernel has, mounted anew by root inside, and those that he finds."""
    spec = make(image=image)

    def spread() -> dict[str, str]:
        import ctypes
        import os

        libc, said = ctypes.CDLL(None, use_errno=True), {}
        with open("/proc/self/cgroup") as file:
            names = [line.split(":")[1] for line in file]
        for name in names:
            place = f"/tmp/{name or 'unified'}"
            os.makedirs(place, exist_ok=True)
            options = name if "=" not in name else f"none,{name}"
            kind = b"cgroup" if name else b"cgroup2"
            if libc.mount(b"none", place.encode(), kind, 0, options.encode() if name else None):
                continue
            made = 0
            try:
                while made < 5000:
                    os.mkdir(f"{place}/s{made}")
                    made += 1
            except OSError as refused:
                said[name] = f"{min(made, 1)} {refused.strerror}"
        return said

    said = inside(node, spec, spread)
    assert said.pop("") == "1 Resource temporarily unavailable"
    assert set(said.values()) <= {"0 Permission denied", "0 Read-only file system"}, said


def test_root_inside_can_not_lift_the_bound(node: Node, make: Make, image: str) -> None:
    spec = make(image=image)

    def lift() -> list[str]:
        import os

        said = []
        for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/pids"):
            for name in sorted(os.listdir(top)) if os.path.isdir(top) else ():
                try:
                    with open(f"{top}/{name}", "r+") as file:
                        file.write("max")
                    said.append(f"{top}/{name}")
                except OSError:
                    pass
        return said

    assert inside(node, spec, lift) == []


def test_a_program_inside_reads_its_limit(node: Node, make: Make, image: str) -> None:
    """What Java, Node and others take for the size of the machine."""
    spec = make(image=image, limits=Limits(cpu=1, memory_mb=96, disk_mb=64))

    def read() -> int:
        import os

        for name in ("memory/memory.limit_in_bytes", "memory.max"):
            if os.path.exists(f"/sys/fs/cgroup/{name}"):
                return int(open(f"/sys/fs/cgroup/{name}").read())
        return 0

    assert inside(node, spec, read) == 96 * 2**20


def test_an_init_hears_of_a_group_that_ran_empty(node: Node, make: Make, image: str) -> None:
    """On cgroup v1 none does, and waits a minute and a half for services that have ended long ago."""
    spec = make(image=image)

    def hear() -> bool:
        import os
        import select
        import time

        group = "/sys/fs/cgroup/mine"
        os.mkdir(group)
        child = os.fork()
        if child == 0:
            time.sleep(0.2)
            os._exit(0)
        with open(f"{group}/cgroup.procs", "w") as file:
            file.write(str(child))
        with open(f"{group}/cgroup.events") as events:
            poller = select.poll()
            poller.register(events, select.POLLPRI)
            while "populated 1" in events.read():
                if not poller.poll(5000):
                    return False
                events.seek(0)
        return True

    assert inside(node, spec, hear)
