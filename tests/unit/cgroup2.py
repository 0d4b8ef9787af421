"""A tree of control groups (v2) in a plain directory, with the kernel's rules.

What the files hold and refuse is as the kernel's documentation has it (admin-guide/cgroup-v2). For machines
that have only v1: it shows that our half keeps to the rules, not that a kernel does what they say.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from runtime.host.cgroup import files, unified

#: In every group but the top.
_CORE = {
    "cgroup.procs": "",
    "cgroup.threads": "",
    "cgroup.controllers": "",
    "cgroup.subtree_control": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.freeze": "0\n",
    "cgroup.kill": "",
    "cgroup.max.depth": "max\n",
    "cgroup.max.descendants": "max\n",
    "cgroup.type": "domain\n",
}
#: In a group whose parent has the controller in its subtree_control.
_OF_CONTROLLER = {
    "cpu": {"cpu.max": "max 100000\n", "cpu.weight": "100\n"},
    "cpuset": {"cpuset.cpus": "\n"},
    "memory": {
        "memory.max": "max\n",
        "memory.swap.max": "max\n",
        "memory.current": "0\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    },
    "pids": {"pids.max": "max\n", "pids.current": "0\n", "pids.events": "max 0\n"},
    "io": {"io.max": ""},
    "hugetlb": {},
}
PAGE = 4096
#: Of the machine.
PROCESSORS = 8


def numbers(text: str) -> frozenset[int]:
    """Of a list such as `0-2,5`."""
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            low, _, high = part.partition("-")
            found |= set(range(int(low), int(high or low) + 1))
    return frozenset(found)


class Cgroup2:
    def __init__(self, root: Path, controllers: str):
        self.root = root
        self.owners: dict[Path, int] = {}
        for name in ("cgroup.procs", "cgroup.subtree_control"):
            (root / name).write_text("")
        (root / "cgroup.controllers").write_text(f"{controllers}\n")

    def _is_group(self, path: Path) -> bool:
        return path == self.root or self.root in path.parents

    def _above(self, group: Path) -> Iterator[Path]:
        """The groups above, the nearest first, without the top."""
        for one in group.parents:
            if one == self.root:
                return
            yield one

    # making and removing -------------------------------------------------------------------------

    def mkdir(self, group: Path) -> None:
        for height, one in enumerate(self._above(group)):
            depth, most = (
                (one / f"cgroup.max.{name}").read_text().strip() for name in ("depth", "descendants")
            )
            below = sum(path.is_dir() for path in one.rglob("*"))
            if (depth != "max" and height >= int(depth)) or (most != "max" and below >= int(most)):
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(group))
        os.mkdir(group)
        for name, text in _CORE.items():
            (group / name).write_text(text)
        on = (group.parent / "cgroup.subtree_control").read_text().split()
        (group / "cgroup.controllers").write_text(f"{' '.join(on)}\n")
        for controller in on:
            self._give(group, controller)

    @staticmethod
    def _give(group: Path, controller: str) -> None:
        for name, text in _OF_CONTROLLER[controller].items():
            (group / name).write_text(text)

    def rmdir(self, group: Path) -> None:
        if any(one.is_dir() for one in group.iterdir()) or (group / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(group))
        shutil.rmtree(group)

    # writing ------------------------------------------------------------------------------------

    def write(self, path: Path, text: str) -> None:
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        act = {
            "cgroup.subtree_control": self._control,
            "cgroup.procs": self._join,
            "cgroup.freeze": self._freeze,
            "cgroup.kill": self._kill,
            "cpu.max": self._cpu_max,
            "cpu.weight": self._cpu_weight,
            "cpuset.cpus": self._cpuset_cpus,
            "memory.max": self._memory_max,
            "io.max": self._io_max,
        }.get(path.name)
        if act is None:
            path.write_text(f"{text}\n")
        else:
            act(path.parent, text)

    def _refuse(self, number: int) -> None:
        raise OSError(number, os.strerror(number))

    def _control(self, group: Path, text: str) -> None:
        on = (group / "cgroup.subtree_control").read_text().split()
        for word in text.split():
            name = word[1:]
            if word[0] != "+" or name not in (group / "cgroup.controllers").read_text().split():
                self._refuse(errno.ENOENT)
            if group != self.root and (group / "cgroup.procs").read_text():
                self._refuse(errno.EBUSY)  # no internal processes
            if name not in on:
                on.append(name)
                for child in (one for one in group.iterdir() if one.is_dir()):
                    self._give(child, name)
                    known = (child / "cgroup.controllers").read_text().split()
                    (child / "cgroup.controllers").write_text(" ".join([*known, name]) + "\n")
        (group / "cgroup.subtree_control").write_text(" ".join(on) + "\n")

    def _join(self, group: Path, text: str) -> None:
        if group != self.root and (group / "cgroup.subtree_control").read_text().split():
            self._refuse(errno.EBUSY)
        with (group / "cgroup.procs").open("a") as file:
            file.write(f"{int(text)}\n")

    def _freeze(self, group: Path, text: str) -> None:
        (group / "cgroup.freeze").write_text(f"{text}\n")
        for one in (group, *(path for path in group.rglob("*") if path.is_dir())):
            (one / "cgroup.events").write_text(f"populated 1\nfrozen {int(text)}\n")

    def _kill(self, group: Path, text: str) -> None:
        if text != "1":
            self._refuse(errno.ERANGE)
        for one in (group, *(path for path in group.rglob("*") if path.is_dir())):
            (one / "cgroup.procs").write_text("")

    def _cpu_max(self, group: Path, text: str) -> None:
        quota, period = text.split()
        if quota != "max" and int(quota) < 1000:
            self._refuse(errno.EINVAL)
        (group / "cpu.max").write_text(f"{quota} {int(period)}\n")

    def _cpu_weight(self, group: Path, text: str) -> None:
        if not 1 <= int(text) <= 10_000:
            self._refuse(errno.ERANGE)
        (group / "cpu.weight").write_text(f"{int(text)}\n")

    def _cpuset_cpus(self, group: Path, text: str) -> None:
        """As the kernel writes a list; more than the group above has may be asked for."""
        if numbers(text) and max(numbers(text)) >= PROCESSORS:
            self._refuse(errno.ERANGE)
        (group / "cpuset.cpus").write_text(f"{text}\n")

    def runs_on(self, group: Path) -> frozenset[int]:
        """`cpuset.cpus.effective`: of those of the group above what it asks for, all where that is none."""
        if group == self.root:
            return frozenset(range(PROCESSORS))
        above = self.runs_on(group.parent)
        file = group / "cpuset.cpus"
        return (numbers(file.read_text()) & above if file.exists() else above) or above

    def _memory_max(self, group: Path, text: str) -> None:
        """Rounded down to whole pages."""
        value = text if text == "max" else str(int(text) // PAGE * PAGE)
        (group / "memory.max").write_text(f"{value}\n")

    def _io_max(self, group: Path, text: str) -> None:
        """A device without any limit has no line."""
        device, *values = text.split()
        lines = [one for one in (group / "io.max").read_text().splitlines() if not one.startswith(f"{device} ")]
        if any(not one.endswith("=max") for one in values):
            lines.append(text)
        (group / "io.max").write_text("".join(f"{one}\n" for one in lines))


@contextmanager
def cgroup2(root: Path, controllers: str = "cpuset cpu io memory hugetlb pids") -> Iterator[Cgroup2]:
    """The tree, while whatever our drivers do below `root` keeps to the rules; elsewhere all is as it was."""
    tree = Cgroup2(root, controllers)
    mkdir, rmdir, write = Path.mkdir, os.rmdir, files.write

    def made(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if root not in path.parents:
            mkdir(path, mode, parents, exist_ok)
        elif not path.is_dir() or not exist_ok:
            tree.mkdir(path)

    def gone(path: str, *, dir_fd: int | None = None) -> None:
        whole = Path(path) if dir_fd is None else Path(os.readlink(f"/proc/self/fd/{dir_fd}")) / path
        if root in whole.parents and whole.is_dir() and (whole / "cgroup.procs").exists():
            tree.rmdir(whole)
        else:
            rmdir(path, dir_fd=dir_fd)

    def written(path: Path, text: str) -> None:
        (tree.write if root in path.parents else write)(path, text)

    def owned(path: Path, uid: int, gid: int) -> None:
        if not Path(path).exists():
            raise FileNotFoundError(path)
        tree.owners[Path(path)] = uid

    with (
        mock.patch.object(Path, "mkdir", made),
        mock.patch.object(Path, "rmdir", lambda path: gone(str(path))),
        mock.patch.object(os, "rmdir", gone),
        mock.patch.object(os, "chown", owned),
        mock.patch.object(files, "write", written),
        mock.patch.object(unified, "write", written),
    ):
        yield tree
