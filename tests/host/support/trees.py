"""Trees that lie in wait."""

import hashlib
import os
import socket
from base64 import b64encode
from pathlib import Path


def sum_of(directory: Path) -> str:
    seen = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        state = path.lstat()
        seen.update(f"{path} {state.st_mode} {state.st_uid} {state.st_mtime_ns} {state.st_nlink}".encode())
        if path.is_file():
            seen.update(path.read_bytes())
    return seen.hexdigest()


def put(kind: str, place: Path, target: Path) -> None:
    if kind == "absolute link":
        place.symlink_to(target)
    elif kind == "link upwards":
        place.symlink_to("../" * 30 + str(target).lstrip("/"))
    elif kind == "link through proc":
        place.symlink_to(f"/proc/self/root{target}")
    elif kind == "dangling link":
        place.symlink_to(f"{target}-is-not-there")
    elif kind == "loop of links":
        place.symlink_to(place.name)
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            here = Path.cwd()
            os.chdir(place.parent)
            try:
                one.bind(place.name)
            finally:
                os.chdir(here)
    elif kind == "directory":
        place.mkdir()
        (place / "full").touch()
    elif kind == "hard link":
        (place.parent / f"{place.name}.other").write_text("twice")
        os.link(place.parent / f"{place.name}.other", place)


def as_base64(path: bytes) -> str:
    return b64encode(path).decode()
