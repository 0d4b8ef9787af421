"""Images of apps on a node: read-only subvolumes, each once, whoever's environments are made from it.

An image is called by repository and digest. Who knows a digest alone gets nothing by it: a tenant is noted with
an image when its registry showed it to that tenant.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.contract import AppSeen, EnvironmentSpec, ImageConfig, Reference
from runtime.contract.app import shown_command
from runtime.files import exclusive, replace_file
from runtime.host import btrfs
from runtime.known import known_environments
from runtime.node import Node

#: What no environment has been made from for so long goes; sooner, where the pool has no room for another.
KEPT_UNUSED_S = 24 * 3600.0
_LEAST_KEPT_S = 600.0
_NOTE = "app.json"


class Kept(BaseModel):
    """One image that is here."""

    model_config = ConfigDict(extra="ignore")

    key: str
    name: str
    """`host/repository`."""
    digest: str
    """Of its manifest."""
    known_as: tuple[str, ...] = ()
    """Digests that led to it: its own, and those of indexes."""
    shown_to: tuple[UUID, ...] = ()
    """Tenants that its registry showed it to."""
    verified: tuple[str, ...] = ()
    """Marks of policies that its signatures fit."""
    bytes: int = 0
    config: ImageConfig = ImageConfig()


class Chosen(BaseModel):
    """What the reference of an environment's app led to, for one install."""

    model_config = ConfigDict(extra="ignore")

    image: str
    installs: int
    digest: str
    key: str
    bytes: int = 0
    config: ImageConfig


def key_of(name: str, digest: str) -> str:
    return hashlib.sha256(f"{name}@{digest}".encode()).hexdigest()


class Library:
    def __init__(self, node: Node):
        self.node = node
        self.directory = node.store / "apps"

    def tree(self, key: str) -> Path:
        return self.directory / key

    def building(self, key: str, part: str) -> Path:
        """What is on its way: its `layers`, its `tree`."""
        return self.directory / f".{part}-{key}"

    def _note(self, key: str) -> Path:
        return self.node.root / "apps" / f"{key}.json"

    # images --------------------------------------------------------------------------------------

    def kept(self, key: str) -> Kept | None:
        if not self.tree(key).is_dir():
            return None
        with suppress(OSError, ValidationError):
            return Kept.model_validate_json(self._note(key).read_bytes())
        return None

    def each(self) -> Iterator[Kept]:
        with suppress(FileNotFoundError):
            for entry in sorted(self.directory.iterdir()):
                if not entry.name.startswith(".") and (one := self.kept(entry.name)):
                    yield one

    def shown(self, reference: Reference, tenant: UUID, mark: str = "") -> Kept | None:
        """The image of this digest, where its registry showed it to the tenant, and it fits the policy."""
        if not reference.digest:
            return None
        return next(
            (
                one
                for one in self.each()
                if one.name == reference.name
                and reference.digest in one.known_as
                and tenant in one.shown_to
                and (not mark or mark in one.verified)
            ),
            None,
        )

    def show(self, key: str, digest: str, tenant: UUID, mark: str = "") -> Kept | None:
        """Notes that a registry showed it to this tenant, under this digest, and that it fits the policy.
        None when it isn't here."""
        with exclusive(self.node, "apps"):
            one = self.kept(key)
            if one is None:
                return None
            known = {
                "known_as": tuple(dict.fromkeys((*one.known_as, digest)))[-50:],
                "shown_to": tuple(dict.fromkeys((*one.shown_to, tenant))),
                "verified": tuple(dict.fromkeys((*one.verified, *filter(None, [mark]))))[-200:],
            }
            one = one.model_copy(update=known)
            self._write(one)
            return one

    def _write(self, one: Kept) -> None:
        self._note(one.key).parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(self._note(one.key), one.model_dump_json())

    def take_in(self, one: Kept) -> None:
        """What was unpacked becomes the image, in one step. A no-op when that is so already."""
        building = self.building(one.key, "tree")
        if btrfs.is_subvolume(building):
            with exclusive(self.node, "apps"):
                self._write(one)
                btrfs.delete_subvolume(self.tree(one.key))
                btrfs.set_readonly(building, True)
                building.rename(self.tree(one.key))
        self.throw_away(one.key)

    def throw_away(self, key: str) -> None:
        """What is on its way, or was when it was cut off. A no-op when nothing is."""
        for part in ("tree", "layers"):
            btrfs.delete_subvolume(self.building(key, part))

    def delete(self, key: str) -> None:
        btrfs.delete_subvolume(self.tree(key))
        self._note(key).unlink(missing_ok=True)

    # what environments are made from ---------------------------------------------------------------

    def choose(self, spec: EnvironmentSpec, one: Kept, digest: str) -> Chosen:
        """Notes what this install of the environment is made from."""
        assert spec.app is not None
        chosen = Chosen(
            image=spec.app.image,
            installs=spec.installs,
            digest=digest,
            key=one.key,
            bytes=one.bytes,
            config=one.config,
        )
        directory = self.node.environment(spec.id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(directory / _NOTE, chosen.model_dump_json())
        with suppress(OSError):
            os.utime(self._note(one.key))
        return chosen

    def chosen(self, environment_id: UUID) -> Chosen | None:
        with suppress(OSError, ValidationError):
            return Chosen.model_validate_json((self.node.environment(environment_id) / _NOTE).read_bytes())
        return None

    def user_name(self, spec: EnvironmentSpec) -> str:
        """Whom an app runs as: who was asked for, else as its image says; empty: root."""
        if spec.app is not None and spec.app.user is not None:
            return spec.app.user
        chosen = self.chosen(spec.id)
        return chosen.config.user if chosen is not None else ""

    def forget(self, environment_id: UUID) -> None:
        (self.node.environment(environment_id) / _NOTE).unlink(missing_ok=True)

    def fits(self, spec: EnvironmentSpec) -> bool:
        """Whether what was chosen is what this spec is made from."""
        chosen = self.chosen(spec.id)
        if chosen is None or spec.app is None:
            return False
        return (chosen.image, chosen.installs) == (spec.app.image, spec.installs)

    def seen(self, environment_id: UUID, command: tuple[str, ...]) -> AppSeen | None:
        chosen = self.chosen(environment_id)
        if chosen is None:
            return None
        return AppSeen(
            image=chosen.image,
            digest=chosen.digest,
            bytes=chosen.bytes,
            command=shown_command(command),
            user=chosen.config.user,
            workdir=chosen.config.workdir,
            ports=chosen.config.ports,
        )

    # room ------------------------------------------------------------------------------------------

    def sweep(self, *, unused_for_s: float = KEPT_UNUSED_S, until_free: int | None = None) -> int:
        """Deletes what nobody's environment was made from lately, oldest first; how many. With `until_free`
        only until so many bytes of the pool are free."""
        used, swept = self._in_use(), 0
        unused = [(self._used_at(one.key), one.key) for one in self.each() if one.key not in used]
        for at, key in sorted(unused):
            if until_free is not None and self._free() >= until_free:
                break
            if not 0 <= time.time() - at < unused_for_s:
                with exclusive(self.node, "apps"):
                    # somebody may have been shown it, or have chosen it, since it was looked for
                    if self._used_at(key) != at or key in self._in_use():
                        continue
                    self.delete(key)
                swept += 1
                btrfs.sync(self.node.store)
        return swept

    def _in_use(self) -> set[str]:
        return {one.key for one in map(self.chosen, known_environments(self.node)) if one is not None}

    def make_room(self, wanted_bytes: int) -> int:
        """Bytes that are free, after unused images went where that was too little."""
        if self._free() < wanted_bytes:
            self.sweep(unused_for_s=_LEAST_KEPT_S, until_free=wanted_bytes)
        return self._free()

    def _used_at(self, key: str) -> float:
        try:
            return self._note(key).stat().st_mtime
        except OSError:
            return 0.0

    def _free(self) -> int:
        return shutil.disk_usage(self.node.store).free
