"""One backup is looked into: a page of a directory, a file, an archive, one path put back."""

import json
import os
from base64 import b64encode
from bisect import bisect_left, bisect_right
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from runtime.backups.inside.changing import dig, unlock
from runtime.backups.inside.ground import DISK, TARGET, Refused, environment, restic, words_of

#: Of Go's os.FileMode: where it has what chmod(1) writes in front of the nine bits.
_SPECIAL = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
_SORTS = {"dir": "directory", "file": "file", "symlink": "link"}


def nodes(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """What is at the path, and behind it what is in it. Nothing is locked: whoever looks keeps nobody waiting,
    and waits for nobody. Raises `Refused` (`no_such_path`)."""
    at = os.path.normpath(DISK + "/" + asked["path"])
    if at != DISK and not at.startswith(DISK + "/"):
        raise Refused("no_such_path")
    listed = restic(asked, "ls", "--no-lock", asked["snapshot"], at)
    found = [json.loads(line) for line in listed.splitlines() if line]
    found = [one for one in found if one.get("struct_type") == "node"]
    if not found or found[0]["path"] != at:
        raise Refused("no_such_path")
    return found


def files(asked: dict[str, Any]) -> dict[str, Any]:
    """A page of a directory, by name."""
    top, *inner = nodes(asked)
    if top["type"] != "dir":
        raise Refused("no_such_path")
    inner.sort(key=lambda one: str(one["name"]))
    names = [str(one["name"]) for one in inner]
    start = begin(names, asked["after"])
    end = min(start + asked["most"], len(inner))
    return {
        "entries": [entry(one) for one in inner[start:end]],
        "total": len(inner),
        "next": "" if end == len(inner) else base64_of(cursor(names, end)),
    }


def cursor(names: list[str], end: int) -> str:
    """Behind which the next page begins: a name, and how many that are told alike came before it (restic tells
    all that are no UTF-8 so); no name has a slash."""
    last = names[end - 1]
    alike = end - bisect_left(names, last)
    return f"{last}/{alike}" if names[end] == last else last


def begin(names: list[str], after: str) -> int:
    name, _, alike = after.partition("/")
    if not name:
        return 0
    return bisect_left(names, name) + int(alike) if alike.isdecimal() else bisect_right(names, name)


def base64_of(name: str) -> str:
    return b64encode(name.encode(errors="surrogatepass")).decode()


def entry(node: dict[str, Any]) -> dict[str, Any]:
    mode = int(node["mode"])
    special = sum(bit for go, bit in _SPECIAL if mode & go)
    return {
        "name": str(node["name"]),
        "raw": base64_of(str(node["name"])),
        "sort": _SORTS.get(node["type"], "other"),
        "size": int(node.get("size", 0)),
        "mode": f"{mode & 0o777 | special:04o}",
        "uid": int(node["uid"]),
        "gid": int(node["gid"]),
        "changed_at": seconds_of(str(node["mtime"])),
        "target": "",
    }


def seconds_of(text: str) -> float:
    """Of RFC 3339, whose parts of a second are many; 0 for what Python's calendar doesn't know."""
    whole, zone = text[:19], text[19:].lstrip(".0123456789")
    try:
        return datetime.fromisoformat(whole + (zone if zone != "Z" else "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def dump(asked: dict[str, Any]) -> NoReturn:
    """A file's content, or a directory as a tar archive, on standard output. Nothing else comes there."""
    top = nodes(asked)[0]
    if top["type"] != ("dir" if asked["is_archive"] else "file"):
        raise Refused("no_such_path")
    words = words_of(asked, "dump", "--no-lock", asked["snapshot"], top["path"])
    os.execve(words[0], words, environment(asked))  # noqa: S606 (a list of words)


def restore_path(asked: dict[str, Any]) -> dict[str, Any]:
    """One path, where it was, below the target."""
    if asked["again"]:
        unlock(asked)
    top = nodes(asked)[0]
    pattern = "".join("\\" + one if one in "*?[]\\" else one for one in top["path"])
    restic(asked, "restore", asked["snapshot"], "--target", TARGET, "--include", pattern)
    dig(Path(TARGET + DISK))
    return {}
