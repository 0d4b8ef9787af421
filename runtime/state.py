"""What a node remembers of each subject, in files: the newest spec it was given, how far it came, and the
journal of steps. Everything else is read from the kernel. A subject is an environment, or a job
(`runtime.jobs.records`).

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
from typing import Generic, Protocol, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from runtime import tenants
from runtime.clock import boot_id
from runtime.contract import DesiredState, EnvironmentSpec
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import changes
from runtime.errors import RuntimeFault
from runtime.files import documents, is_full, replace_file, write_all
from runtime.node import Node


class Failure(BaseModel):
    """Why a generation was given up, and what came of undoing it."""

    code: str
    message: Said
    next_step: Said = NOTHING
    retryable: bool = True
    outcome: Said = NOTHING

    @classmethod
    def of(cls, fault: RuntimeFault) -> Self:
        return cls(code=fault.code, message=fault.said, next_step=fault.next_step, retryable=fault.retryable)

    @property
    def fault(self) -> RuntimeFault:
        """As it was raised."""
        return RuntimeFault(self.message, code=self.code, next_step=self.next_step, retryable=self.retryable)

    @property
    def sentence(self) -> Said:
        return changes.and_then(self.message, self.outcome) if self.outcome else self.message


class State(BaseModel):
    """How far the node came with one environment."""

    model_config = ConfigDict(extra="ignore")

    applied: int = 0
    """Generation last brought about wholly; 0: never."""
    failed: int = 0
    """Generation that was given up: what stood before it is kept to until a newer one comes."""
    failure: Failure | None = None
    halted: bool = False
    """Powered off from inside: stays so until a newer generation asks for it to run."""
    rests: bool = False
    """Ended, and its restart policy leaves it so: likewise."""
    started_at: float | None = None
    """Seconds since the epoch."""
    started_in: str = ""
    """The boot of the machine that it was; empty: by who knew none yet."""
    started_up_s: float | None = None
    """CLOCK_BOOTTIME then, which nobody can set (clock_gettime(2)); None: by who didn't note it yet."""
    restarts: int = 0
    crashes_in_a_row: int = 0
    restart_at: float | None = None
    exit_code: int | None = None
    ooms: int = 0
    """Kills for lack of memory that were told already, of those that its control group counts."""
    console_lost_of: str = ""
    """The init whose monitor's loss was told: its pid is given out again, see `runtime.host.processes`."""
    repaired: str = ""
    """Code of the repair that was told last, and when (seconds since the epoch)."""
    repaired_at: float = 0.0
    code: str = ""
    message: Said = NOTHING
    next_step: Said = NOTHING

    @property
    def stays_off(self) -> bool:
        return self.halted or self.rests

    def ran_s(self) -> float:
        """Since its start; by the wall clock only where that was another boot, or nobody noted more."""
        if self.started_up_s is not None and self.started_in == boot_id():
            return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started_up_s
        return time.time() - (self.started_at or 0)

    def no_longer(self, *, failed: bool = False) -> None:
        """Forgets the condition that was told last, unless it lasts; with `failed` a given up change too."""
        if not self.stays_off:
            self.code, self.message, self.next_step = "", NOTHING, NOTHING
        if failed:
            self.failed, self.failure = 0, None


class Asked(Protocol):
    """A spec, of whatever subject: a newer one has a higher generation."""

    @property
    def id(self) -> UUID: ...
    @property
    def generation(self) -> int: ...
    @property
    def deadline_s(self) -> float: ...
    def model_dump_json(self) -> str: ...
    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray) -> Self: ...


S = TypeVar("S", bound=Asked)
T = TypeVar("T", bound=BaseModel)


class SubjectRecords(Generic[S, T]):
    """The files of one subject. Writing is atomic; reading what isn't there gives None."""

    spec_model: type[S]
    state_model: type[T]

    def __init__(self, node: Node, subject_id: UUID, *, key: str, directory: Path):
        """`key`: what its locks, notes and tombstone are called by, in the directories of all subjects."""
        self.node = node
        self.id = subject_id
        self.directory = directory
        self._key = key
        self._specs: dict[str, tuple[bytes, S]] = {}
        """What was read before, by file name."""
        self._state: tuple[bytes, T] | None = None

    # the spec --------------------------------------------------------------------------------

    def wanted(self) -> S | None:
        """The newest spec; where its file is lost or damaged, the last one that was brought about."""
        return self._spec("wanted.json") or self._spec("applied.json")

    def applied(self) -> S | None:
        """The last spec that was brought about wholly."""
        return self._spec("applied.json")

    def _spec(self, name: str) -> S | None:
        """Understood anew only when it says something else than the last time: it is asked before each step."""
        try:
            text = (self.directory / name).read_bytes()
            known = self._specs.get(name)
            if known is None or known[0] != text:
                known = self._specs[name] = text, self.spec_model.model_validate_json(text)
            return known[1]
        except (OSError, ValidationError):
            return None

    def accept(self, spec: S) -> bool:
        """Keeps the spec as what is wanted now; False when a newer one (or a deletion) is known. OSError on a
        full disk."""
        return self._accept(spec)

    def _accept(self, spec: S, *, has_no_room: bool = False) -> bool:
        with self.lock("accept"):
            known = self.wanted()
            newest = max(known.generation if known else 0, self.tombstone())
            if spec.generation < newest:
                return False
            if known is None and self.tombstone() >= spec.generation:
                return False
            if not has_no_room:
                self.mark_pending()
            if known != spec:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write("wanted.json", spec.model_dump_json())
            if has_no_room:  # without the note the reconciler finds what is cut off
                with suppress(OSError):
                    self.mark_pending()
            return True

    # work to be done -------------------------------------------------------------------------

    def mark_pending(self) -> None:
        """Notes that somebody has something to do here, before it is begun. A note whose environment nobody
        holds the lock of is what a killed process left: see `pending_environments`."""
        self.node.pending.mkdir(mode=0o700, exist_ok=True)
        (self.node.pending / self._key).touch(mode=0o600)

    def clear_pending(self, attempted: int) -> bool:
        """Takes the note away; False when a spec newer than `attempted` came, which is still to be done."""
        with self.lock("accept"):
            if self.newest_generation() > attempted:
                return False
            (self.node.pending / self._key).unlink(missing_ok=True)
            return True

    def newest_generation(self) -> int:
        known = self.wanted()
        return known.generation if known else 0

    # state and journal -----------------------------------------------------------------------

    def state(self) -> T:
        try:
            text = (self.directory / "state.json").read_bytes()
            if self._state is None or self._state[0] != text:
                self._state = text, self.state_model.model_validate_json(text)
            return self._state[1].model_copy()
        except (OSError, ValidationError):
            return self.state_model()

    def set_state(self, state: T) -> None:
        self._write("state.json", state.model_dump_json())

    def begin(self, spec: S) -> tuple[int, str]:
        """Starts the journal anew; which attempt at this generation in a row this is since one came to an end,
        and the step at which the last one was cut off (empty when it wasn't)."""
        lines = self.journal_lines()
        attempt, cut_off = 1, ""
        if lines and lines[0].get("apply") == spec.generation and "end" not in lines[-1]:
            attempt = int(str(lines[0].get("attempt", 1))) + 1
            cut_off = str(lines[-1].get("resource", ""))
        self.journal({"apply": spec.generation, **self.about(spec), "attempt": attempt}, fresh=True)
        return attempt, cut_off

    def about(self, spec: S) -> dict[str, object]:
        """What else the first line of its journal says."""
        return {}

    def journal(self, line: dict[str, object], *, fresh: bool = False) -> None:
        """Adds a line before (and after) each step; `fresh` starts the journal anew."""
        mode = os.O_TRUNC if fresh else os.O_APPEND
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode
        fd = os.open(self.directory / "journal.jsonl", flags, 0o600)
        try:
            write_all(fd, json.dumps({"at": time.time(), **line}).encode() + b"\n")
        finally:
            os.close(fd)

    def journal_lines(self) -> list[dict[str, object]]:
        with suppress(OSError):
            text = (self.directory / "journal.jsonl").read_text(errors="replace")
            return list(documents(text))
        return []

    def _write(self, name: str, text: str) -> None:
        replace_file(self.directory / name, text)

    def flush(self) -> None:
        """Puts what was written on the disk, so that a power loss doesn't take it; after the report went out,
        since nobody should wait for a disk. A no-op when the records are gone."""
        for name in ("wanted.json", "applied.json", "state.json", ""):
            with suppress(OSError):
                fd = os.open(self.directory / name, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    # the end ---------------------------------------------------------------------------------

    def _tombstone_file(self) -> Path:
        return self.node.root / "tombstones" / self._key

    def tombstone(self) -> int:
        """Generation at which it was deleted; 0 when it wasn't."""
        with suppress(OSError, ValueError):
            return int(self._tombstone_file().read_text())
        return 0

    def bury(self, generation: int) -> None:
        """Remembers the deletion, on the disk, and forgets everything else; in reverse on a full disk."""
        try:
            replace_file(self._tombstone_file(), str(generation), durable=True)
        except OSError as full:
            if not is_full(full):
                raise
            shutil.rmtree(self.directory, ignore_errors=True)
            replace_file(self._tombstone_file(), str(generation), durable=True)
        with suppress(FileNotFoundError):
            shutil.rmtree(self.directory)

    # locks -----------------------------------------------------------------------------------

    def _lock_file(self, name: str) -> Path:
        directory = self.node.run / "locks"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory / f"{self._key}.{name}"

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


#: Specs that are kept as they were sent; only those at work matter.
_MOST_ASKED = 8


class Records(SubjectRecords[EnvironmentSpec, State]):
    """Those of one environment."""

    spec_model = EnvironmentSpec
    state_model = State

    def __init__(self, node: Node, environment_id: UUID):
        super().__init__(
            node, environment_id, key=str(environment_id), directory=node.environment(environment_id)
        )

        self._asked: dict[int, EnvironmentSpec] = {}
        """By generation, what was read as it was sent."""
        self._laid: tuple[EnvironmentSpec, bytes, EnvironmentSpec] | None = None

    def wanted(self) -> EnvironmentSpec | None:
        """The newest spec, held to what its tenant is held to (`runtime.tenants`); where its file is lost or
        damaged, the last one that was brought about."""
        return self._held(super().wanted())

    def applied(self) -> EnvironmentSpec | None:
        """The last spec that was brought about wholly, held likewise: what a failed change goes back to."""
        return self._held(self._spec("applied.json"))

    def _held(self, asked: EnvironmentSpec | None) -> EnvironmentSpec | None:
        """Laid together anew only when either has changed: it is asked before each step."""
        if asked is None:
            return None
        text = tenants.text_of(self.node, asked.tenant_id)
        if self._laid is None or self._laid[0] is not asked or self._laid[1] != text:
            if len(self._asked) > _MOST_ASKED:
                self._asked.clear()
            self._asked[asked.generation] = asked
            self._laid = asked, text, tenants.laid_over(asked, tenants.read(text))
        return self._laid[2]

    def standing(self) -> EnvironmentSpec | None:
        """What the environment should be like now: the newest spec, or, while that one counts as failed, the
        last one that was brought about. None when there is neither: nothing should be there."""
        spec = self.wanted()
        if spec is not None and self.state().failed == spec.generation:
            return self.applied()
        return spec

    def set_applied(self, spec: EnvironmentSpec) -> None:
        """As it was sent: what its tenant is held to may be another by the time that it is gone back to."""
        self._write("applied.json", self._asked.get(spec.generation, spec).model_dump_json())

    def accept(self, spec: EnvironmentSpec) -> bool:
        """Keeps the spec as what is wanted now; False when a newer one (or a deletion) is known.

        On a full disk `OSError`, but for a deletion: that takes the room that it needs from what it deletes.
        """
        try:
            accepted = self._accept(spec)
            if accepted:
                tenants.note(self.node, spec.tenant_id, spec.envelope)
        except OSError as full:
            if spec.desired is not DesiredState.DELETED or not is_full(full):
                raise
            (self.directory / "journal.jsonl").unlink(missing_ok=True)
            return self._accept(spec, has_no_room=True)
        return accepted

    def about(self, spec: EnvironmentSpec) -> dict[str, object]:
        return {"desired": spec.desired}

    def sweep(self) -> None:
        """Takes away what a crash left of a deletion, or of the moment before a spec was taken in. A no-op
        while there is a spec, or somebody is at work."""
        if self.wanted() is not None:
            return
        with self.try_lock() as free, self.try_lock("accept") as quiet:
            if not free or not quiet or self.wanted() is not None:
                return
            if self.tombstone():
                with suppress(FileNotFoundError):
                    shutil.rmtree(self.directory)
            else:
                with suppress(OSError):
                    self.directory.rmdir()
