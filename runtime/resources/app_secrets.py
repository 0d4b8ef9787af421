"""An app's secrets: files in memory, seen inside as /run/secrets/NAME, and by nobody but its user.

They lie on a file system of the node's own that is never written to a disk (ramfs: no swap), in a directory for
each environment that is bound into it read-only. So they are replaced live, and nothing inside can fill them.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.contract import AppOptions, EnvironmentSpec, open_secrets
from runtime.contract.said import Said
from runtime.contract.words import apps, drift, steps
from runtime.errors import RuntimeFault
from runtime.files import exclusive, write_all
from runtime.glance import Glance
from runtime.host import libc, mounts
from runtime.host.safetree import SafeTree
from runtime.images.oci.library import Library
from runtime.node import Node
from runtime.oci.users import user_of
from runtime.resources.base import Found, Resource, names_in


def keep(node: Node) -> None:
    """Mounts where they lie, in the node's mount namespace; a no-op when it is there."""
    if mounts.is_mounted(node.secrets):
        return
    with exclusive(node, "secrets"):
        if not mounts.is_mounted(node.secrets):
            node.secrets.mkdir(mode=0o711, exist_ok=True)
            flags = libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
            libc.mount("wadah", str(node.secrets), "ramfs", flags, "mode=711")


class AppSecrets(Resource):
    name = "app secrets"
    lifetime = "boot"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if spec.app is None or not spec.app.secrets:
            self.remove(spec.id)
            return None
        wanted = self._opened(spec.id, spec.app)
        keep(self.node)
        directory = self._directory(spec.id)
        directory.mkdir(mode=0o755, exist_ok=True)
        owner = self._owner(spec)
        changed = sum(self._write(directory / name, text.encode(), owner) for name, text in wanted.items())
        for entry in list(directory.iterdir()):
            if entry.name not in wanted:
                entry.unlink()
                changed += 1
        return steps.secrets(len(wanted)) if changed else None

    def _opened(self, environment_id: UUID, app: AppOptions) -> dict[str, str]:
        try:
            if app.locked is None:
                raise ValueError("there are none")
            return open_secrets(app.locked, environment_id, key=self.node.report_key.read_bytes().strip())
        except (OSError, ValueError) as shut:
            raise RuntimeFault(apps.secrets_shut(), code="secrets_shut", next_step=apps.set_anew()) from shut

    def _owner(self, spec: EnvironmentSpec) -> int:
        """Host uid of the app's user."""
        wanted = Library(self.node).user_name(spec)
        with SafeTree.open(self.node.root_volume(spec.id)) as tree:
            return self.node.first_uid(spec.slot) + user_of(tree, wanted).uid

    def _write(self, path: Path, content: bytes, owner: int) -> bool:
        """In one step: a reader has the old one or the new one. False when it is so already."""
        with suppress(FileNotFoundError):
            if path.read_bytes() == content and path.stat().st_uid == owner:
                return False
        new = self.node.secrets / f".{path.parent.name}-{os.getpid()}"
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400)
            try:
                write_all(fd, content)
                os.fchown(fd, owner, -1)
            finally:
                os.close(fd)
            new.rename(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        return True

    def _directory(self, environment_id: UUID) -> Path:
        return self.node.secrets / str(environment_id)

    def remove(self, environment_id: UUID) -> Said | None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._directory(environment_id))
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        """Their names alone."""
        with suppress(FileNotFoundError):
            return {"names": sorted(one.name for one in self._directory(environment_id).iterdir())}
        return None

    def inventory(self) -> Iterable[Found]:
        for entry in self.node.secrets.iterdir() if self.node.secrets.is_dir() else ():
            with suppress(ValueError):
                yield Found(self.name, UUID(entry.name), f"secrets/{entry.name}")

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        if spec.app is None or not spec.app.secrets:
            return None
        there = names_in(glance, self._directory(spec.id))
        return None if there >= spec.app.secrets.keys() else drift.gone(steps.named(self.name))
