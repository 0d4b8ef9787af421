"""Prints what Wadah may leave on a machine, a line each, as the machine itself sees it. Standard library."""

import os
import subprocess
from pathlib import Path

#: What README.md says stays: the packages' own, and the panel's user.
LEFT_OUT = ("/proc", "/sys", "/dev", "/root", "/srv", "/usr", "/var/lib/dpkg", "/var/log", "/var/cache")


def main() -> None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        print("mount", line.split()[4])
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) not in (1, os.getpid(), os.getppid()):
            name, state = (path / "stat").read_text().partition("(")[2].rpartition(")")[::2]
            if state.split()[0] != "Z":  # has ended; its parent hasn't looked yet
                print("process", name)
    for link in os.listdir("/sys/class/net"):
        print("link", link)
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if "wadah" in name:
                print("control group", Path(directory) / name)
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        if backing.read_text().startswith("/var/lib/wadah"):
            print("loop device", backing)
    if Path("/usr/sbin/nft").exists():
        rules = subprocess.run(["/usr/sbin/nft", "list", "ruleset"], capture_output=True, text=True, check=True)
        for line in rules.stdout.splitlines():
            print("rule", line)
    for directory, names, files in os.walk("/"):
        names[:] = [one for one in names if not f"{directory}/{one}".replace("//", "/").startswith(LEFT_OUT)]
        for name in (*names, *files):
            if "wadah" in name or name.startswith("pymp-"):
                print("file", Path(directory) / name)


main()
