"""Reading and writing the files of control groups."""

import os
from contextlib import suppress
from pathlib import Path


def write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def read(path: Path | str) -> str:
    """Empty where there is none. By plain calls: hundreds of these are read every few seconds."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        parts = [os.read(fd, 65_536)]
        while len(parts[-1]) == 65_536:
            parts.append(os.read(fd, 65_536))
        return b"".join(parts).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(fd)


def number(path: Path | str) -> int:
    text = read(path).strip()
    return int(text) if text.isdigit() else 0


def bound(path: Path | str) -> int | None:
    """A limit; None where there is no file, or `max`, or what stands for none on v1 (over 2^62)."""
    text = read(path).strip()
    return int(text) if text.isdigit() and int(text) < 2**62 else None


def known(path: Path | str) -> int | None:
    """A number; None where the kernel has no such file."""
    text = read(path).strip()
    return int(text) if text.isdigit() else None


def fields(path: Path | str) -> dict[str, int]:
    """A file of `name value` lines."""
    found = {}
    for line in read(path).splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    return found


def without_cache(used: int, stat: Path | str, prefix: str = "") -> int:
    """Bytes of memory in use without the file cache, which the kernel takes back when something needs it: what
    free(1) calls used. `used`: with it. Pages of tmpfs count, since nothing takes them back."""
    found = fields(stat)
    cache = found.get(f"{prefix}inactive_file", 0) + found.get(f"{prefix}active_file", 0)
    return max(0, used - cache)


def set_to(path: Path, text: str) -> bool:
    """Write when it says something else. False when it said so already."""
    if read(path).strip() == text:
        return False
    write(path, text)
    return True


def open_to_users(group: Path) -> None:
    """Whatever our umask was: managers of users inside make their groups below this one (user@.service(5))."""
    with suppress(FileNotFoundError):
        group.chmod(0o755)


def or_max(value: int | None) -> str:
    return "max" if value is None else str(value)
