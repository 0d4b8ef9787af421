"""Writing files as root where others may write too: whole or not at all, and never through a link."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int, owner: int = 0, group: int = 0) -> bool:
    """A new file under a name of chance, made by nobody else (O_EXCL), takes the name in one step; what stood
    there, be it a link, is replaced and not followed. False when a plain file says so already."""
    if _says(path, text, mode, owner, group):
        return False
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        os.fchown(file.fileno(), owner, group)
        os.fchmod(file.fileno(), mode)
    temporary.rename(path)
    return True


def _says(path: Path, text: str, mode: int, owner: int, group: int) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(descriptor) as file:
        stat = os.fstat(file.fileno())
        return (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (mode, owner, group) and file.read() == text
