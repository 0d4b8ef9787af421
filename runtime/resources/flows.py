"""Flows that are still to be ended, of environments that are down.

They are noted before the environment's part of the firewall goes, and ended after the report: the kernel
walks its whole table for it, and nobody has to wait for that.
"""

import json
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from runtime.files import exclusive, replace_file
from runtime.host import conntrack
from runtime.network import elements
from runtime.network.elements import Elements
from runtime.node import Node


class EndingFlows:
    """A note per environment in a directory that, as the flows, doesn't outlive the node's boot. What a crash
    leaves is ended by whoever sweeps next."""

    def __init__(self, node: Node):
        self._node = node
        self._directory = node.run / "flows"

    def note(self, environment_id: UUID, gone: dict[str, Elements]) -> None:
        if any(elements.ways_in(gone)):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._directory / str(environment_id), json.dumps(gone))

    def spare(self, environment_id: UUID, wanted: dict[str, Elements]) -> None:
        """It is up again: only what it has no more is still to be ended. A no-op without a note."""
        gone = _read(self._directory / str(environment_id))
        if gone is not None:
            (self._directory / str(environment_id)).unlink(missing_ok=True)
            self.note(environment_id, elements.without(gone, wanted))

    def end(self) -> int:
        """All that was noted, in one go; how many. Cheap when nothing was. Raises OSError, and then it stays
        noted."""
        if not self._noted():
            return 0
        with exclusive(self._node, "flows"):
            addresses, forwards, taken = set(), set(), []
            for file in self._noted():
                with suppress(FileNotFoundError):
                    # under another name, so that what is noted anew meanwhile isn't forgotten
                    taken.append(file.rename(file.with_name(f"{file.name[:36]}.{uuid4().hex[:8]}")))
                    some = elements.ways_in(_read(taken[-1]) or {})
                    addresses |= some[0]
                    forwards |= some[1]
            ended = conntrack.end(addresses, forwards)
            for file in taken:
                file.unlink(missing_ok=True)
            return ended

    def _noted(self) -> list[Path]:
        """Notes, and those that were taken and not ended; not what somebody is just writing."""
        with suppress(FileNotFoundError):
            return [file for file in self._directory.iterdir() if file.suffix != ".new"]
        return []


def _read(file: Path) -> dict[str, Elements] | None:
    with suppress(OSError, ValueError):
        return dict(json.loads(file.read_text()))
    return None
