"""What is done to trees of environments in a confined container: compare, put back, write, delete, pack."""

import json
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError

from runtime.clock import sequence
from runtime.contract.said import Said
from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.images.confined import Program, confined
from runtime.images.oci.library import Library
from runtime.node import Node
from runtime.sandboxes.base import Apart
from runtime.state import Records
from runtime.storage import tree_program
from runtime.storage.files import checked
from runtime.storage.snapshots import Snapshots
from runtime.storage.tree_program.comparing import MOST_PACKAGES
from runtime.storage.tree_program.ground import AFTER, BEFORE, DEEPEST

#: Of paths in one answer.
MOST_CHANGES = 5000
#: Of one file that is written.
MOST_UPLOAD_BYTES = 2**20
_COMPARE_S, _WRITE_S, _UNPACK_S = 20.0, 60.0, 600.0
#: However slowly it is read.
PACK_S = 3600.0
#: To begin and to end the container.
_AROUND_S = 15.0
_MEMORY_BYTES = 384 * 2**20
_MOST_ANSWER_BYTES = 16 * 2**20
_PIECE_BYTES = 256 * 1024
_Size = Annotated[int, Field(ge=0)] | None


class Compared(BaseModel):
    """What the container says; one that was led astray may say anything, so it is looked through."""

    changes: Annotated[
        list[
            tuple[
                Literal["added", "changed", "removed"],
                Annotated[str, Field(max_length=3 * 2**20)],
                Literal["file", "directory", "link", "other"],
                _Size,
                _Size,
            ]
        ],
        Field(max_length=MOST_CHANGES),
    ]
    """What became of it, its path as base64, what it is (or was), and its size before and after."""
    counts: dict[Literal["added", "changed", "removed"], Annotated[int, Field(ge=0)]]
    """Of all, also of those that aren't listed."""
    is_whole: bool
    """False: time or depth didn't suffice for all of it."""
    packages: Annotated[
        list[
            tuple[
                Annotated[str, Field(max_length=200)],
                Annotated[str, Field(max_length=200)] | None,
                Annotated[str, Field(max_length=200)] | None,
            ]
        ],
        Field(max_length=MOST_PACKAGES),
    ]
    """Name and version before and after; None: it wasn't there."""


class PutBack(BaseModel):
    entries: Annotated[int, Field(ge=0)]
    skipped: Annotated[int, Field(ge=0)]
    """Fifos, sockets and devices."""


class Written(BaseModel):
    size: Annotated[int, Field(ge=0)]
    is_new: bool


@dataclass(frozen=True)
class Trees:
    node: Node
    begun: Callable[[Callable[[], None]], object] | None = None
    """Told of what is at work what ends it: in a moment, and with what isn't whole taken away."""

    def compare(self, environment_id: UUID, snapshot: UUID, to: UUID | None, *, most: int) -> Compared:
        """What is different in another snapshot, or (None) in the environment as it is now. Bounded in time and
        length; `RuntimeFault` (`not_found`) when one of the two isn't there."""
        trees = {
            BEFORE: self._snapshot(environment_id, snapshot),
            AFTER: self._snapshot(environment_id, to) if to else self._root(environment_id),
        }
        asked = {"verb": "compare", "most": min(most, MOST_CHANGES), "seconds": _COMPARE_S}
        return Compared.model_validate(self._done(trees, {}, asked))

    def compare_with_image(self, environment_id: UUID, *, most: int) -> Compared:
        """What is different in the environment now from what it was made from: its image, or the snapshot that
        it is a clone of. `RuntimeFault` (`not_found`) when that isn't on the node any more."""
        trees = {
            BEFORE: self._source(environment_id),
            AFTER: self._root(environment_id),
        }
        asked = {"verb": "compare", "most": min(most, MOST_CHANGES), "seconds": _COMPARE_S}
        return Compared.model_validate(self._done(trees, {}, asked))

    def put_back(self, environment_id: UUID, snapshot: UUID, path: bytes) -> PutBack:
        """A file, a link, or a directory with all that is in it, as the snapshot has it. What was added to a
        directory since stays."""
        return self.put_from(self._snapshot(environment_id, snapshot), environment_id, path)

    def put_from(self, tree: Path, environment_id: UUID, path: bytes) -> PutBack:
        """The same from a tree of the pool that is no snapshot."""
        before = {BEFORE: tree}
        after = {AFTER: self._root(environment_id)}
        asked = {"verb": "put_back", "path": _base64(path), "seconds": _WRITE_S}
        return PutBack.model_validate(self._done(before, after, asked))

    def put(self, environment_id: UUID, path: bytes, data: bytes) -> Written:
        """A file with this content, in a directory that is there; owner and mode of one that was there stay."""
        after = {AFTER: self._root(environment_id)}
        asked = {"verb": "put", "path": _base64(path), "size": len(data), "seconds": _WRITE_S}
        return Written.model_validate(self._done({}, after, asked, data))

    def delete(self, environment_id: UUID, path: bytes, *, recursive: bool) -> None:
        """A file, a link or an empty directory; with `recursive`, one with all that is in it."""
        after = {AFTER: self._root(environment_id)}
        asked = {"verb": "delete", "path": _base64(path), "recursive": recursive, "seconds": _WRITE_S}
        self._done({}, after, asked)

    def changed(self, environment_id: UUID, asked: dict[str, Any], data: bytes | int) -> Any:
        """Another verb of the program, about the environment as it is: what it answers, which nobody has looked
        through yet. `data`: what it reads, or a descriptor of that."""
        return self._done({}, {AFTER: self._root(environment_id)}, asked, data)

    def looked_at(self, environment_id: UUID, snapshot: UUID | None, asked: dict[str, Any]) -> Any:
        """The same about a snapshot, or the environment as it is, which nothing can be changed in."""
        tree = self._snapshot(environment_id, snapshot) if snapshot else self._root(environment_id)
        return self._done({BEFORE: tree}, {}, asked)

    def unpack(self, environment_id: UUID, path: bytes, archive: int) -> PutBack:
        """What is in a tar archive (a descriptor), into a directory that is there. Devices, fifos and sockets
        are skipped; what came before it was cut off, or turned out to be none, stays."""
        after = {AFTER: self._root(environment_id)}
        asked = {"verb": "unpack", "path": _base64(path), "seconds": _UNPACK_S}
        return PutBack.model_validate(self._done({}, after, asked, archive))

    @contextmanager
    def packed(
        self, environment_id: UUID, snapshot: UUID | None, path: bytes, *, is_any: bool = False
    ) -> Iterator[Iterator[bytes]]:
        """A directory as a tar stream, in pieces; refused before the first one. `is_any`: a file or a link too.
        Raises `RuntimeFault` in place of an end when what came isn't whole."""
        source = self._snapshot(environment_id, snapshot) if snapshot else self._root(environment_id)
        asked = {"verb": "pack", "path": _base64(path), "is_any": is_any}
        with self._running({BEFORE: source}, {}, asked, PACK_S) as (process, _within):
            assert isinstance(process.stdout, BufferedReader)
            first = process.stdout.read1(_PIECE_BYTES)
            if not first:
                raise _refused(process)
            yield _pieces(first, process)

    def _done(
        self,
        looked_at: Mapping[str, Path],
        changed: Mapping[str, Path],
        asked: dict[str, Any],
        data: bytes | int = b"",
    ) -> Any:
        """`data`: what it reads, or a descriptor of that."""
        given = data if isinstance(data, int) else subprocess.PIPE
        seconds = asked["seconds"] + _AROUND_S
        with self._running(looked_at, changed, asked, seconds, given) as (process, within):
            assert process.stdout is not None
            if not isinstance(data, int):
                threading.Thread(target=_feed, args=(process, data), daemon=True).start()
            answer = process.stdout.read(_MOST_ANSWER_BYTES)
            if process.stdout.read(1):
                within.end()
            if process.wait() != 0:
                raise _refused(process)
        try:
            return json.loads(answer)
        except (ValueError, ValidationError) as error:
            raise RuntimeFault(words.trees_not_read(), code="failed") from error

    @contextmanager
    def _running(
        self,
        looked_at: Mapping[str, Path],
        changed: Mapping[str, Path],
        asked: Mapping[str, Any],
        seconds: float,
        stdin: int = subprocess.PIPE,
    ) -> Iterator[tuple["subprocess.Popen[bytes]", Apart]]:
        """Ended at the deadline, and when who asked goes away. It is told the time: what it keeps for so many
        days mustn't go because somebody sets the clock."""
        source = tree_program.source()
        asked = {**asked, "now_ns": sequence(self.node)}
        program = Program(
            words=["/usr/bin/python3", "-I", "-S", "-c", source, json.dumps(asked)],
            trees=changed,
            looked_at=looked_at,
            memory_bytes=_MEMORY_BYTES,
            open_files=2 * DEEPEST + 100,
        )
        with ExitStack() as undo:
            within = undo.enter_context(confined(self.node, program))
            process = subprocess.Popen(
                within.words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=within.environment,
                cwd="/",
                start_new_session=True,
            )
            undo.callback(process.wait)
            undo.callback(process.kill)
            undo.callback(within.end)
            watchdog = threading.Timer(seconds, within.end)
            watchdog.start()
            undo.callback(watchdog.cancel)
            if self.begun is not None:
                self.begun(process.terminate)  # crun hands it on
            yield process, within

    def _snapshot(self, environment_id: UUID, snapshot: UUID) -> Path:
        path = Snapshots(self.node).path(environment_id, snapshot)
        if not path.is_dir():
            raise RuntimeFault(words.no_snapshot(), code="not_found", retryable=False)
        return path

    def _source(self, environment_id: UUID) -> Path:
        """What its root was made from."""
        spec = Records(self.node, environment_id).standing()
        path = None
        if spec is not None and spec.origin is None:
            chosen = Library(self.node).chosen(environment_id)
            name = self.node.image(spec.image)
            path = name if spec.app is None else Library(self.node).tree(chosen.key) if chosen else None
        elif spec is not None and spec.origin is not None and spec.origin.backup is None:
            path = Snapshots(self.node).path(spec.origin.environment_id, spec.origin.snapshot)
        if path is None or not path.is_dir():
            raise RuntimeFault(words.no_source(), code="not_found", retryable=False)
        return path

    def _root(self, environment_id: UUID) -> Path:
        path = self.node.root_volume(environment_id)
        if not path.is_dir():
            raise RuntimeFault(words.no_root(), code="not_found", retryable=False)
        return path


def _base64(path: bytes) -> str:
    return b64encode(checked(path)).decode()


def _feed(process: "subprocess.Popen[bytes]", data: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(data)
        process.stdin.close()
    except OSError:
        return  # it has refused before it read


def _pieces(first: bytes, process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    yield first
    assert isinstance(process.stdout, BufferedReader)
    while piece := process.stdout.read1(_PIECE_BYTES):
        yield piece
    if process.wait() != 0:
        raise _refused(process)


_SAID = {
    "not_found": words.no_such_path,
    "no_space": words.no_space,
    "not_empty": words.not_empty,
    "in_the_way": words.in_the_way,
    "not_allowed": words.not_changeable,
    "too_long": words.trees_too_long,
    "bad_archive": words.bad_archive,
    "exists": words.name_taken,
    "into_itself": words.into_itself,
    "no_such_user": words.no_such_user,
    "no_trash": words.no_trash_there,
    "name_too_long": words.name_too_long,
    "gave_way": words.gave_way,
    "too_many_uploads": words.too_many_uploads,
}


def said_of(code: str) -> Said:
    """Of a word of the program's; of any other that it failed."""
    return _SAID.get(code, words.trees_not_read)()


def _refused(process: "subprocess.Popen[bytes]") -> RuntimeFault:
    """By the word that it said; one of ours, whatever that was."""
    assert process.stderr is not None
    said = process.stderr.read(4096)
    try:
        code = str(json.loads(said)["refused"])
    except (ValueError, KeyError, TypeError):
        code = ""
    if code not in _SAID:
        return RuntimeFault(words.trees_not_read(), code="failed")
    return RuntimeFault(_SAID[code](), code=code, retryable=False)
