"""A repository of backups, as this node asks it: by restic, confined, behind whoever wants the processors."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from runtime.backups import left_locked
from runtime.backups.inside import ground, source
from runtime.backups.made_once import turn
from runtime.backups.places import Access, Way, gone, way_to
from runtime.backups.reading import Reading
from runtime.contract import BackupMade, TargetSeen
from runtime.contract.words import backups as words
from runtime.errors import HostLacks, RuntimeFault
from runtime.images.confined import Program, confined
from runtime.node import Node
from runtime.sandboxes.base import Apart

MIB = 2**20
#: Left free where a repository lies: it isn't the tenant's disk to fill.
RESERVE_BYTES = 64 * MIB
_MEMORY_BYTES, _PROCESSES, _SCRATCH_BYTES, _OPEN_FILES = 1024 * MIB, 256, 192 * MIB, 4096
_LOOK_S = 0.25
#: Of a look at a directory, and of each piece of a file: somebody waits for it. A file whole, however slowly
#: it is read.
LOOK_S, DUMP_S = 90.0, 3600.0
#: Of a check of a target: restic derives its key some four times.
CHECK_S = 240.0
#: To take back what a backup left, behind who has locked the repository.
_TAKE_BACK_S = 900.0
_MOST_LINE, _MOST_ANSWER = 64 * 1024, 16 * MIB
#: A word to who works so long that nothing is heard.
SILENT_S = 3600.0

Watch = Callable[[float, int], None]
"""Told the share that is done and bytes, several times a second; ends what it watches by raising."""


def unwatched(_share: float, _bytes: int) -> None:
    """Of who doesn't look."""


def restic_is_there() -> bool:
    return Path("/usr/bin/restic").exists()


def notes_of(node: Node, job: str) -> Path:
    """Where a job has its word about the environment for restic to read; gone after it, and after its undo."""
    return node.mounts / f"backup-{job}"


@dataclass(frozen=True)
class Restic:
    """On one repository, in the name of one job: what that left locked when it was cut off, it unlocks."""

    node: Node
    access: Access
    password: str = field(repr=False)
    job: str
    repository_id: str | None = None
    is_again: bool = False
    """An earlier try of the job was cut off."""

    def back_up(
        self, tree: Path, about: str, *, host: UUID, backup: UUID, tags: Mapping[str, str], watch: Watch
    ) -> BackupMade:
        """The tree, read-only, and beside it what it is of."""
        self._has_room()
        if self.repository_id is None:
            seen = self._looked(watch)
            known = replace(self, repository_id=seen.repository_id)
            return known.back_up(tree, about, host=host, backup=backup, tags=tags, watch=watch)
        with self._notes(about) as notes:
            asked = {
                "task": "back_up",
                "host": str(host),
                "backup": str(backup),
                "tags": {**tags, "backup": str(backup)},
            }
            answer = self._ask(
                asked,
                self._room_watched(watch),
                looked_at={ground.DISK: tree},
                shown={ground.NOTES: notes},
            )
        try:
            return BackupMade.model_validate(answer)
        except ValidationError as odd:
            raise _refused("tool_refused", "?") from odd

    def restore(self, snapshot: str, tree: Path, watch: Watch) -> None:
        """Its files, into an empty directory of the pool."""
        asked = {"task": "restore", "snapshot": snapshot}
        self._ask(asked, watch, trees={ground.TARGET + ground.DISK: tree})

    def check(self, watch: Watch) -> None:
        """Raises `RuntimeFault` (`repository_damaged`) where what is read isn't what was written."""
        self._unlock_the_lost()
        self._ask({"task": "check"}, watch)

    def files(self, snapshot: str, path: str, *, after: str, most: int) -> dict[str, Any]:
        """A page of a directory: `entries` as `runtime.storage.files.Entry` has them, `total`, `next`."""
        asked = {"task": "files", "snapshot": snapshot, "path": path, "after": after, "most": most}
        return self._ask(asked, _within(time.monotonic() + LOOK_S))

    def restore_path(self, snapshot: str, path: str, tree: Path, watch: Watch) -> None:
        asked = {"task": "restore_path", "snapshot": snapshot, "path": path}
        self._ask(asked, watch, trees={ground.TARGET + ground.DISK: tree})

    @contextmanager
    def dumped(self, snapshot: str, path: str, *, is_archive: bool) -> Iterator[Iterator[bytes]]:
        """A file, or a directory as a tar archive, in pieces; refused before the first one. Raises
        `RuntimeFault` in place of an end when what came isn't whole."""
        asked = {"task": "dump", "snapshot": snapshot, "path": path, "is_archive": is_archive}
        with ExitStack() as undo:
            way = undo.enter_context(way_to(self.node, self.access))
            within = undo.enter_context(confined(self.node, self._program({}, {}, {}, way.pin)))
            process = subprocess.Popen(
                within.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=within.environment,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
            undo.callback(process.wait)
            undo.callback(process.kill)
            undo.callback(within.end)
            assert process.stdin
            with suppress(BrokenPipeError), process.stdin as there:
                there.write(json.dumps(self._document(asked, way)).encode())
            reading = Reading(process, within, DUMP_S)
            try:
                first = reading.piece(LOOK_S)
                if not first:
                    _raise_unless_well(reading)
            except RuntimeFault as fault:
                raise way.blamed(fault) from fault
            yield _pieces(first, reading)

    def forget(self, snapshots: Sequence[str], watch: Watch) -> None:
        self._unlock_the_lost()
        self._ask({"task": "forget", "snapshots": list(snapshots)}, watch)

    def take_back(self, backup: UUID) -> None:
        watch = _within(time.monotonic() + _TAKE_BACK_S)
        self._ask({"task": "take_back", "backup": str(backup)}, watch)
        left_locked.settled(self.node, self.access, self.job)

    def _unlock_the_lost(self) -> None:
        """Before what nobody else may work beside."""
        for job in left_locked.noted(self.node, self.access):
            watch = _within(time.monotonic() + CHECK_S)
            replace(self, job=job)._ask({"task": "unlock"}, watch)
            left_locked.settled(self.node, self.access, job)

    def listed(self) -> list[dict[str, Any]]:
        """As `restic snapshots --json` has them."""
        found = self._ask({"task": "list"}, unwatched).get("snapshots")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def about(self, snapshot: str) -> str:
        """What a backup is of, as JSON."""
        return str(self._ask({"task": "about", "snapshot": snapshot}, unwatched).get("about", ""))

    def look(self) -> TargetSeen:
        """That it is reached, opens and is written to; made where there is none. Raises `RuntimeFault`."""
        return self._looked(_within(time.monotonic() + CHECK_S))

    def _looked(self, watch: Watch) -> TargetSeen:
        self._has_room()
        may_make = self.repository_id is None
        with turn(self.node, self.access, lambda: watch(0.0, 0)) if may_make else nullcontext():
            answer = self._ask({"task": "look", "may_make": may_make}, watch)
        try:
            return TargetSeen.model_validate(answer)
        except ValidationError as odd:
            raise _refused("tool_refused", "?") from odd

    def _has_room(self) -> None:
        """Of a directory; a server says itself that it is full."""
        directory = self.access.directory
        if directory is not None and shutil.disk_usage(directory).free < RESERVE_BYTES:
            raise _refused("target_full", "")

    def _room_watched(self, watch: Watch) -> Watch:
        def watched(share: float, done: int) -> None:
            directory = self.access.directory
            if directory is not None and not directory.is_dir():
                raise gone()
            self._has_room()
            watch(share, done)

        return watched

    @contextmanager
    def _notes(self, about: str) -> Iterator[Path]:
        notes = notes_of(self.node, self.job)
        shutil.rmtree(notes, ignore_errors=True)
        try:
            notes.mkdir()
            notes.chmod(0o755)
            (notes / "environment.json").write_text(about)
            (notes / "environment.json").chmod(0o644)  # for who reads it as nobody, in there alone
            yield notes
        finally:
            shutil.rmtree(notes, ignore_errors=True)

    def _ask(
        self,
        asked: dict[str, Any],
        watch: Watch,
        *,
        trees: Mapping[str, Path] | None = None,
        looked_at: Mapping[str, Path] | None = None,
        shown: Mapping[str, Path] | None = None,
    ) -> dict[str, Any]:
        with way_to(self.node, self.access) as way:

            def watched(share: float, done: int) -> None:
                way.look()
                watch(share, done)

            program = self._program(trees or {}, looked_at or {}, shown or {}, way.pin)
            try:
                with confined(self.node, program) as within:
                    return _Run(within, self._document(asked, way), watched).answer()
            except RuntimeFault as fault:
                blamed = way.blamed(fault)
                if blamed.retryable:
                    left_locked.note(self.node, self.access, self.job)
                raise blamed from fault
            except BaseException:  # a cancel
                left_locked.note(self.node, self.access, self.job)
                raise

    def _document(self, asked: dict[str, Any], way: Way) -> dict[str, Any]:
        told = self.access.told()
        return {
            "may_make": False,
            "again": self.is_again,
            "repository_id": self.repository_id,
            **asked,
            **told,
            "environment": {**told["environment"], **way.environment},
            "password": self.password,
        }

    def _program(
        self,
        trees: Mapping[str, Path],
        looked_at: Mapping[str, Path],
        shown: Mapping[str, Path],
        network: Path | None,
    ) -> Program:
        if not restic_is_there():
            raise HostLacks(words.lacks("restic"), code="host_lacks", next_step=words.install_it())
        if self.access.is_ssh and not Path("/usr/bin/ssh").exists():
            raise HostLacks(words.lacks("ssh"), code="host_lacks", next_step=words.install_ssh())
        directory = self.access.directory
        if directory is not None:
            trees = {ground.REPOSITORY: directory, **trees}
        elif not self.access.is_ssh:
            shown = {"/etc/ssl": Path("/etc/ssl"), **shown}
        return Program(
            words=[
                *("/usr/bin/ionice", "--class", "idle", "--ignore"),
                *("/usr/bin/python3", "-I", "-S", "-c", source()),
            ],
            trees=trees,
            looked_at=looked_at,
            shown=shown,
            memory_bytes=_MEMORY_BYTES,
            processes=_PROCESSES,
            open_files=_OPEN_FILES,
            scratch_bytes=_SCRATCH_BYTES,
            network=network,
            has_users=self.access.is_ssh,
            hostname=f"wadah-{self.job}"[:63],
            is_background=True,
        )


def _pieces(first: bytes, reading: Reading) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = reading.piece(LOOK_S)
    _raise_unless_well(reading)


def _raise_unless_well(reading: Reading) -> None:
    status, said = reading.ended(LOOK_S)
    if status == 0:
        return
    try:
        raise _refused(*_told(json.loads(said.strip().splitlines()[-1])))
    except (ValueError, IndexError, RecursionError):
        raise _refused("tool_refused", said) from None


def _within(until: float) -> Watch:
    """Of who waits for an answer."""

    def watch(_share: float, _done: int) -> None:
        if time.monotonic() > until:
            raise RuntimeFault(words.too_long(), code="too_long", next_step=words.look_at_it())

    return watch


class _Run:
    """One program in there, until it has said what came of it."""

    def __init__(self, within: Apart, asked: dict[str, Any], watch: Watch):
        self.within, self.asked, self.watch = within, asked, watch
        self.share, self.bytes, self.heard_at = 0.0, 0, time.monotonic()
        self.answered: dict[str, Any] | None = None
        self.errors = b""

    def answer(self) -> dict[str, Any]:
        process = subprocess.Popen(
            self.within.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.within.environment,
            cwd="/",
            start_new_session=True,
        )
        try:
            with process:
                self._go(process)
        finally:
            if process.poll() is None:
                process.kill()
                self.within.end()
        if self.answered is None:
            lines = self.errors.decode(errors="replace").strip().splitlines()
            raise _refused("tool_refused", lines[-1] if lines else f"code {process.returncode}")
        if "refused" in self.answered:
            raise _refused(*_told(self.answered["refused"]))
        done = self.answered.get("done")
        return done if isinstance(done, dict) else {}

    def _go(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        listeners = [
            threading.Thread(target=self._hear, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._hear_errors, args=(process.stderr,), daemon=True),
        ]
        for one in listeners:
            one.start()
        with suppress(BrokenPipeError), process.stdin as there:
            there.write(json.dumps(self.asked).encode())
        try:
            while True:
                try:
                    process.wait(_LOOK_S)
                    break
                except subprocess.TimeoutExpired:
                    self.watch(self.share, self.bytes)
                    if time.monotonic() > self.heard_at + SILENT_S:
                        raise _refused("target_silent", "") from None
        except BaseException:
            process.kill()
            self.within.end()
            raise
        for one in listeners:
            one.join(5)

    def _hear(self, stream: Any) -> None:
        """A line that is none is let go: who stops to listen holds up who writes."""
        while line := stream.readline(_MOST_ANSWER):
            self.heard_at = time.monotonic()
            with suppress(ValueError, TypeError, LookupError, OverflowError, RecursionError):
                told = json.loads(line)
                if "done" in told or "refused" in told:
                    self.answered = told
                elif "share" in told and len(line) < _MOST_LINE:
                    self.share = min(1.0, max(0.0, float(told["share"])))
                    self.bytes = max(0, int(told["bytes"]))

    def _hear_errors(self, stream: Any) -> None:
        while piece := stream.read1(_MOST_LINE):
            self.errors = (self.errors + piece)[-_MOST_LINE:]


def _told(told: Any) -> tuple[str, str]:
    try:
        name, said = told
        return str(name), str(said)
    except (TypeError, ValueError):
        return "tool_refused", "?"


#: Where trying again can't help.
_FINAL = frozenset(
    (
        *("wrong_password", "other_repository", "no_such_backup", "no_such_path", "host_key_changed"),
        *("login_refused", "no_bucket", "wrong_region", "certificate_refused", "not_allowed_there"),
    )
)
_CODES = {
    "no_repository": "target_gone",
    "connection_lost": "target_unreachable",
    "tool_refused": "backup_failed",
    "no_such_path": "not_found",
}
_STEPS = {
    "wrong_password": words.give_the_right_password,
    "target_full": words.make_room_there,
    "repository_locked": words.wait_for_the_other,
    "no_such_backup": words.choose_another,
    "host_key_changed": words.ask_whose_key,
    "login_refused": words.change_the_login,
    "no_bucket": words.make_the_bucket,
    "wrong_region": words.change_the_place,
    "certificate_refused": words.give_the_authority,
    "not_allowed_there": words.change_the_place,
}


def _refused(name: str, said: str) -> RuntimeFault:
    """The words are ours, but for restic's own about what nobody foresaw."""
    lines = [line for line in said.strip().splitlines() if line.strip()]
    last = "".join(one for one in (lines[-1] if lines else "?") if one.isprintable())[:300]
    if name in words.FOUND:
        sentence = words.FOUND[name]()
    elif name == "files_not_read":
        sentence = words.files_not_read(last)
    else:
        name, sentence = "tool_refused", words.tool_refused(last)
    step = _STEPS.get(name, words.look_at_it)()
    code = _CODES.get(name, name)
    return RuntimeFault(sentence, code=code, next_step=step, retryable=name not in _FINAL)
