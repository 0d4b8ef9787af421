"""What further kernels have in common: each is a tree of files that is shown to environments, and one
start of it is tried before any is offered."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Protocol
from uuid import UUID

import structlog

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import kernels
from runtime.node import Node
from runtime.sandboxes.shared import SharedSandbox
from runtime.sandboxes.trial import Found, Trial

log = structlog.get_logger()


class Tree(Protocol):
    """The module of its files."""

    def unavailable(self) -> Said | None:
        """Why there are none."""

    def show(self, node: Node) -> bool:
        """Whether they had to be shown; raises `OSError` without room for them."""


class Probe(Protocol):
    """The module that tries it."""

    def trial(self, node: Node) -> Trial: ...

    def tried(self, node: Node) -> Found: ...


class TriedSandbox(SharedSandbox):
    """A container of the host with a kernel of its own inside. What of it lies on the host is listed and told
    with that of the host's kernel."""

    called: ClassVar[str]
    files: ClassVar[Tree]
    trying: ClassVar[Probe]

    def unavailable(self) -> Said | None:
        return self.files.unavailable() or super().unavailable() or self.trying.trial(self.node).refused()

    def prepare_host(self) -> list[str]:
        """A node whose disk has no room for the tree works without such kernels, until its next start."""
        if self.files.unavailable():
            return []
        try:
            changed = [f"the tree of the {self.called} kernel"] if self.files.show(self.node) else []
            is_new = self.trying.trial(self.node).run_once(lambda: self.trying.tried(self.node))
            return changed + ([f"the {self.called} kernel was tried"] if is_new else [])
        except OSError as error:
            log.warning("a kernel is not offered", kernel=self.called, error=str(error))
            return []

    def start_ms(self) -> float | None:
        return self.trying.trial(self.node).start_ms()

    def refuses(self, spec: EnvironmentSpec) -> Said | None:
        if spec.volumes:
            return kernels.no_volumes()
        if spec.devices or spec.host_devices:
            return kernels.no_devices()
        return super().refuses(spec)

    def inventory(self) -> Iterable[tuple[UUID | None, str]]:
        return ()

    @property
    def ends(self) -> tuple[Path, ...]:
        return ()

    def owner_of_end(self, name: str) -> UUID | None:
        return None

    def keep_ready(self) -> Callable[[], None]:
        return lambda: None
