"""What a node remembers of each environment, in files: the newest spec it was given, how far it came,
and the journal of steps. Everything else is read from the kernel.

Redis, the database and the panel may all be away: these files bring a node's environments back.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime.contract import EnvironmentSpec
from runtime.node import Node

#: A deleted environment's last generation is remembered this long, so that no late message revives it.
TOMBSTONE_S = 7 * 24 * 3600


class State(BaseModel):
    """How far the node came with one environment."""

    model_config = ConfigDict(extra="ignore")

    applied: int = 0
    """Generation last brought about wholly; 0: never."""
    boots: int = 0
    installs: int = 0
    halted: bool = False
    """Powered off from inside: stays so until a newer generation asks for it to run."""
    started_at: float | None = None
    """Seconds since the epoch."""
    restarts: int = 0
    crashes_in_a_row: int = 0
    restart_at: float | None = None
    exit_code: int | None = None
    code: str = ""
    message: str = ""
    next_step: str = ""


class Records:
    """The files of one environment. Writing is atomic; reading what isn't there gives None."""

    def __init__(self, node: Node, environment_id: UUID):
        self.node = node
        self.id = environment_id
        self.directory = node.environment(environment_id)
        self._specs: dict[str, tuple[bytes, EnvironmentSpec]] = {}
        """What was read before, by file name."""

    # the spec --------------------------------------------------------------------------------

    def wanted(self) -> EnvironmentSpec | None:
        return self._spec("wanted.json")

    def applied(self) -> EnvironmentSpec | None:
        """The last spec that was brought about wholly: what a failed change goes back to."""
        return self._spec("applied.json")

    def set_applied(self, spec: EnvironmentSpec) -> None:
        self._write("applied.json", spec.model_dump_json())

    def _spec(self, name: str) -> EnvironmentSpec | None:
        """Understood anew only when it says something else than the last time: it is asked before each step."""
        try:
            text = (self.directory / name).read_bytes()
            known = self._specs.get(name)
            if known is None or known[0] != text:
                known = self._specs[name] = text, EnvironmentSpec.model_validate_json(text)
            return known[1]
        except (OSError, ValidationError):
            return None

    def accept(self, spec: EnvironmentSpec) -> bool:
        """Keeps the spec as what is wanted now; False when a newer one (or a deletion) is known."""
        with self.lock("accept"):
            known = self.wanted()
            newest = max(known.generation if known else 0, self.tombstone())
            if spec.generation < newest:
                return False
            if known is None and self.tombstone() >= spec.generation:
                return False
            if known != spec:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write("wanted.json", spec.model_dump_json())
            return True

    def newest_generation(self) -> int:
        known = self.wanted()
        return known.generation if known else 0

    # state and journal -----------------------------------------------------------------------

    def state(self) -> State:
        try:
            return State.model_validate_json((self.directory / "state.json").read_bytes())
        except (OSError, ValidationError):
            return State()

    def set_state(self, state: State) -> None:
        self._write("state.json", state.model_dump_json())

    def journal(self, line: dict[str, object], *, fresh: bool = False) -> None:
        """Adds a line before (and after) each step; `fresh` starts the journal anew."""
        mode = os.O_TRUNC if fresh else os.O_APPEND
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode
        fd = os.open(self.directory / "journal.jsonl", flags, 0o600)
        try:
            os.write(fd, json.dumps({"at": time.time(), **line}).encode() + b"\n")
        finally:
            os.close(fd)

    def journal_lines(self) -> list[dict[str, object]]:
        with suppress(OSError):
            text = (self.directory / "journal.jsonl").read_text()
            return [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return []

    def _write(self, name: str, text: str) -> None:
        temporary = self.directory / f"{name}.{os.getpid()}.new"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, text.encode())
            finally:
                os.close(fd)
            temporary.rename(self.directory / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    # the end ---------------------------------------------------------------------------------

    def _tombstone_file(self) -> Path:
        return self.node.root / "tombstones" / str(self.id)

    def tombstone(self) -> int:
        """Generation at which it was deleted; 0 when it wasn't."""
        with suppress(OSError, ValueError):
            return int(self._tombstone_file().read_text())
        return 0

    def bury(self, generation: int) -> None:
        """Remembers the deletion and forgets everything else."""
        self._tombstone_file().write_text(str(generation))
        with suppress(FileNotFoundError):
            shutil.rmtree(self.directory)

    # locks -----------------------------------------------------------------------------------

    def _lock_file(self, name: str) -> Path:
        directory = self.node.run / "locks"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory / f"{self.id}.{name}"

    @contextmanager
    def lock(self, name: str = "apply") -> Iterator[None]:
        """Waits for the lock. It goes with the process that holds it, however that ends."""
        fd = os.open(self._lock_file(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def try_lock(self, name: str = "apply") -> Iterator[bool]:
        """Yields False, without waiting, when somebody else has it."""
        fd = os.open(self._lock_file(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                got = True
            except BlockingIOError:
                got = False
            yield got
        finally:
            os.close(fd)


@contextmanager
def exclusive(node: Node, name: str) -> Iterator[None]:
    """Waits until no other process of this node does what `name` stands for."""
    directory = node.run / "locks"
    directory.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def known_environments(node: Node) -> list[UUID]:
    """Every environment that this node has records of."""
    found = []
    for entry in os.scandir(node.root / "environments"):
        with suppress(ValueError):
            found.append(UUID(entry.name))
    return found


def buried_lately(node: Node, environment_id: UUID, seconds: float) -> bool:
    """Whether the environment's deletion ended less than so many seconds ago."""
    with suppress(OSError):
        return time.time() - (node.root / "tombstones" / str(environment_id)).stat().st_mtime < seconds
    return False


def sweep_tombstones(node: Node) -> None:
    """Forgets deletions older than `TOMBSTONE_S`, and their locks."""
    limit = time.time() - TOMBSTONE_S
    for entry in os.scandir(node.root / "tombstones"):
        if entry.stat().st_mtime < limit:
            Path(entry.path).unlink(missing_ok=True)
            for name in ("apply", "accept"):
                (node.run / "locks" / f"{entry.name}.{name}").unlink(missing_ok=True)
