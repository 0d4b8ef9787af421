"""What lies in the registry, read from where it keeps it (distribution's filesystem driver, version 2).

    repositories/TENANT/NAME/_manifests/tags/TAG/current/link          sha256:…
    repositories/TENANT/NAME/_manifests/tags/TAG/index/sha256/…/link   each that it was
    repositories/TENANT/NAME/_layers/sha256/…/link
    repositories/TENANT/NAME/_uploads/ID/data
    blobs/sha256/AB/ABCD…/data

The registry alone writes there. Standard library only: the gate reads it too.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

#: distribution-spec, `<name>`; of a tag.
NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: Larger ones are counted by themselves: one of 127 layers has 22 KiB.
_MOST_MANIFEST = 64 * 2**10
#: Of directories within each other in a repository's name, its tenant's aside; of layers of one manifest that
#: are counted.
DEEPEST, _MOST_LAYERS = 10, 1000
_MOST_TAGS, _MOST_REPOSITORIES, _MOST_BEFORE = 1000, 1000, 500
#: What each thing takes of its tenant's room at least (a blob, a tag, each digest that a tag or a repository
#: knows, what is on its way, a repository): a file in directories of its own, and time to count it.
LEAST_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Tag:
    name: str
    digest: str
    bytes: int
    """Of all that its manifest names, for every platform."""
    pushed_at: datetime
    before: tuple[str, ...]
    """Digests that it had once and that are still there, newest first."""


@dataclass(frozen=True)
class Store:
    root: Path
    """HOME/registry."""

    @property
    def _top(self) -> Path:
        return self.root / "data" / "docker" / "registry" / "v2"

    def directory(self, repository: str) -> Path:
        """Of a name that was looked at: `NAME`."""
        return self._top / "repositories" / repository

    def repositories(self, tenant: str) -> list[str]:
        """Full names, `tenant/name`, of those with a manifest or a layer."""
        return sorted(f"{tenant}/{one}" for one in self._below(self.directory(tenant), "", 0))

    def some(self, tenant: str) -> list[str]:
        """Of these at most a thousand: for who waits."""
        found = islice(self._below(self.directory(tenant), "", 0), _MOST_REPOSITORIES)
        return sorted(f"{tenant}/{one}" for one in found)

    def _below(self, place: Path, at: str, depth: int) -> Iterator[str]:
        for entry in _entries(place):
            if entry.name.startswith("_") or depth >= DEEPEST or not entry.is_dir(follow_symlinks=False):
                continue
            name = f"{at}{entry.name}"
            if (place / entry.name / "_layers").is_dir() or (place / entry.name / "_manifests").is_dir():
                yield name
            yield from self._below(place / entry.name, f"{name}/", depth + 1)

    def tags(self, repository: str, most: int = _MOST_TAGS) -> list[Tag]:
        """By name, the first `most`. A tag whose manifest is gone isn't one."""
        found = []
        entries = sorted(_entries(self.directory(repository) / "_manifests" / "tags"), key=lambda one: one.name)
        for entry in entries[:most]:
            place = Path(entry.path)
            digest = _link(place / "current" / "link")
            if digest and self.blob(digest).is_file():
                found.append(self._tag(entry.name, place, digest))
        return found

    def _tag(self, name: str, place: Path, digest: str) -> Tag:
        seen = {
            f"sha256:{one.name}": Path(one.path, "link").stat().st_mtime
            for one in _entries(place / "index" / "sha256")[:_MOST_BEFORE]
            if Path(one.path, "link").is_file()
        }
        before = [
            one
            for one in sorted(seen, key=lambda one: -seen[one])
            if one != digest and self.blob(one).is_file()
        ]
        pushed = datetime.fromtimestamp((place / "current" / "link").stat().st_mtime, UTC)
        return Tag(name, digest, self.bytes_of(digest), pushed, tuple(before))

    def blob(self, digest: str) -> Path:
        sha = digest.removeprefix("sha256:")
        return self._top / "blobs" / "sha256" / sha[:2] / sha / "data"

    def bytes_of(self, digest: str) -> int:
        """Of a manifest with all that it names."""
        return sum(map(self._size, self._named(digest, 0)))

    def _named(self, digest: str, depth: int) -> set[str]:
        manifest = self.manifest(digest)
        found = {digest}
        if manifest is None or depth > 1:
            return found
        for one in [manifest.get("config"), *_rows(manifest, "layers")]:
            if isinstance(one, dict) and _DIGEST.fullmatch(str(one.get("digest"))):
                found.add(str(one["digest"]))
        for one in _rows(manifest, "manifests"):
            if isinstance(one, dict) and _DIGEST.fullmatch(str(one.get("digest"))):
                found |= self._named(str(one["digest"]), depth + 1)
        return found

    def manifest(self, digest: str) -> dict[str, Any] | None:
        with suppress(OSError, ValueError, RecursionError):
            path = self.blob(digest)
            if path.stat().st_size <= _MOST_MANIFEST:
                found = json.loads(path.read_bytes())
                return found if isinstance(found, dict) else None
        return None

    def _size(self, digest: str) -> int:
        return _size_of(self.blob(digest))

    def used_bytes(self, tenant: str) -> int:
        """Of a tenant: each blob that one of its repositories has, once, and what is on its way; of each thing
        `LEAST_BYTES` at least, also of a link to what is gone."""
        blobs: set[str] = set()
        things = coming = 0
        for place in self._places(self.directory(tenant)):
            things += 1
            for kept in (place / "_layers", place / "_manifests" / "revisions"):
                names = {f"{kind.name}:{one.name}" for kind in _entries(kept) for one in _entries(kind)}
                things += len(names)
                blobs |= names
            for tag in _entries(place / "_manifests" / "tags"):
                things += 1 + sum(len(_entries(kind)) for kind in _entries(Path(tag.path, "index")))
            for one in _entries(place / "_uploads"):
                coming += max(LEAST_BYTES, _size_of(Path(one.path, "data")))
        return things * LEAST_BYTES + coming + sum(map(self._size, blobs))

    def _places(self, top: Path) -> Iterator[Path]:
        """All directories in which a repository is or may be, however deep."""
        ahead = [top]
        while ahead:
            place = ahead.pop()
            for entry in _entries(place):
                if not entry.name.startswith("_") and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)
                    ahead.append(Path(entry.path))

    def sweep(self) -> int:
        """Takes out what the collection of garbage leaves: links to layers that it took, places of manifests
        that were taken out, repositories in which nothing is; how many. While nobody writes."""
        gone = []
        places = list(self._places(self._top / "repositories"))
        for place in places:
            for one in [each for kind in _entries(place / "_layers") for each in _entries(kind)]:
                digest = _link(Path(one.path, "link"))  # of one by another algorithm: what it is by SHA-256
                if not digest or not self.blob(digest).exists():
                    gone.append(one.path)
            kinds = _entries(place / "_manifests" / "revisions")
            revisions = [each for kind in kinds for each in _entries(kind)]
            gone += [one.path for one in revisions if not Path(one.path, "link").exists()]
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)
        empty = [one for one in places if not any(files for _, _, files in os.walk(one))]
        for place in empty:
            shutil.rmtree(place, ignore_errors=True)
        return len(gone) + len(empty)

    # whose ----------------------------------------------------------------------------------------

    def take(self, tenant: str, owner: str) -> None:
        """The name is this owner's from now on. What an earlier one of the same name left is thrown away first:
        it is nobody's any more. A no-op where it is his already."""
        note = self.root / "owners" / tenant
        with suppress(FileNotFoundError):
            if note.read_text() == owner:
                return
        note.parent.mkdir(mode=0o750, exist_ok=True)
        self.forget(tenant)
        beside = note.with_name(f".{tenant}.{os.getpid()}")
        beside.write_text(owner)
        beside.replace(note)

    def forget(self, tenant: str) -> None:
        """All of that name; its blobs go with the next collection of garbage."""
        place = self.directory(tenant)
        if place.is_dir():
            aside = self.root / "gone"
            aside.mkdir(mode=0o750, exist_ok=True)
            away = aside / f"{tenant}.{os.getpid()}"
            place.rename(away)
            shutil.rmtree(away, ignore_errors=True)
            self.ask_to_collect()
        (self.root / "owners" / tenant).unlink(missing_ok=True)

    def owners(self) -> dict[str, str]:
        """Whose each name is."""
        found = {}
        for entry in _entries(self.root / "owners"):
            with suppress(OSError):
                found[entry.name] = Path(entry.path).read_text()
        return {name: owner for name, owner in found.items() if not name.startswith(".")}

    def ask_to_collect(self) -> None:
        """That garbage is collected soon (`gate`)."""
        (self.root / "collect").touch()


def _entries(place: "Path | os.DirEntry[str]") -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size_of(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _link(path: Path) -> str:
    with suppress(OSError):
        text = path.read_text().strip()
        return text if _DIGEST.fullmatch(text) else ""
    return ""


def _rows(manifest: dict[str, Any], name: str) -> list[Any]:
    found = manifest.get(name)
    return found[:_MOST_LAYERS] if isinstance(found, list) else []
