"""What another build of its base would change for a jail: packages, files that it shares, and settings in /etc
that it keeps as they are."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.host.safetree import SafeTree
from runtime.storage.bases import SHARED, Bases

MOST_PACKAGES, MOST_SETTINGS = 500, 200
_DATABASE_BYTES = 32 * 2**20
#: Package databases that are read: where, and which letters begin a package's name and its version.
_DATABASES = (("/var/lib/dpkg/status", "Package", "Version"), ("/lib/apk/db/installed", "P", "V"))


def difference(bases: Bases, root: Path, image: str) -> dict[str, Any]:
    """`{"now", "newest", "before", "packages": [{"name", "before", "after"}], "more_packages", "files":
    {"added", "removed", "changed"}, "settings": […]}`; the keys alone where both are one or a base is gone."""
    now, newest = bases.key_of(root), bases.key_of_image(image)
    found: dict[str, Any] = {
        "now": now,
        "newest": newest,
        "before": bases.key_before(root),
        "packages": [],
        "more_packages": 0,
        "files": {"added": 0, "removed": 0, "changed": 0},
        "settings": [],
    }
    old, new = (bases.find(key) if key else None for key in (now, newest))
    if now == newest or old is None or new is None:
        return found
    packages = _packages(old, new)
    settings = sorted(_changed(_files(old, ("etc",)), _files(new, ("etc",))))
    before, after = _files(old, SHARED), _files(new, SHARED)
    return found | {
        "packages": packages[:MOST_PACKAGES],
        "more_packages": max(0, len(packages) - MOST_PACKAGES),
        "files": {
            "added": len(after.keys() - before.keys()),
            "removed": len(before.keys() - after.keys()),
            "changed": sum(before[name] != after[name] for name in before.keys() & after.keys()),
        },
        "settings": settings[:MOST_SETTINGS],
    }


def _changed(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> Iterator[str]:
    """Those that the new one has otherwise, or anew."""
    for name, seen in after.items():
        if before.get(name) != seen:
            yield f"/{name}"


def _files(base: Path, tops: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Each file and link by its path, with size, mode and time; no link is followed."""
    found: dict[str, tuple[int, ...]] = {}
    for top in tops:
        if (base / top).is_symlink():
            continue
        for place, _names, files in os.walk(base / top):
            for name in files:
                path = Path(place, name)
                seen = path.lstat()
                time_ns = 0 if stat.S_ISLNK(seen.st_mode) else seen.st_mtime_ns
                found[str(path.relative_to(base))] = (seen.st_size, seen.st_mode, time_ns)
    return found


def _packages(old: Path, new: Path) -> list[dict[str, str]]:
    before, after = _versions(old), _versions(new)
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [{"name": one, "before": before.get(one, ""), "after": after.get(one, "")} for one in names]


def _versions(base: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with SafeTree.open(base) as tree:
        for path, name, version in _DATABASES:
            text = (tree.read(path, _DATABASE_BYTES) or b"").decode(errors="replace")
            for block in text.split("\n\n"):
                fields = dict(re.findall(rf"^({name}|{version}): ?(\S{{1,200}})", block, re.MULTILINE))
                if name in fields:
                    found[fields[name]] = fields.get(version, "")
    return found
