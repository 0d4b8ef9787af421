"""Archives that were handed in: taken in piece by piece with caps, kept as one file each below HOME.

A file's name is an id that we made; nothing of what a person typed becomes part of a path. They come to a
process of their own (`uploads`), so that a body that takes minutes holds up no page.
"""

import fcntl
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.errors import Conflict, Invalid, TooMany

MIB = 2**20
#: Taken in at once; one that falls asleep keeps its place until the front hangs up.
AT_ONCE = 4
#: Left free on the disk of HOME, for the database and everything else.
RESERVE_BYTES = 1024 * MIB
PIECE = 256 * 1024
DEADLINE_S = 1800.0
#: On the average after so long, at least so much each second: else it isn't worth its place.
PATIENCE_S, SLOWEST_BYTES_S = 60.0, 64 * 1024
#: A file that belongs to nothing is swept away when it is so old.
ORPHAN_S = 3600.0
#: Refused requests whose rest is read at once, in this process.
DRAINED_AT_ONCE = 8
_DRAINED = threading.BoundedSemaphore(DRAINED_AT_ONCE)
_OWNERS: list[Callable[[], Iterable[uuid.UUID]]] = []


@dataclass(frozen=True)
class Staged:
    """An archive as it lies in HOME."""

    id: uuid.UUID
    sha256: str
    bytes: int


def directory() -> Path:
    """Mode 0700; made when it isn't there."""
    path: Path = settings.WADAH.panel_home / "archives"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


class Intake:
    """Takes one archive in; `close` throws away what was not finished."""

    def __init__(self, *, most_mb: int | None = None, places: str = "", at_once: int = AT_ONCE) -> None:
        """`most_mb`: of this one, where it may have less than any; `places`: whose are counted apart, and how
        many there are."""
        self._place = directory()
        self._most_mb = min(settings.WADAH.archive_max_mb, most_mb or settings.WADAH.archive_max_mb)
        self._lock = _one_of_the_places(self._place, places, at_once)
        self.id = uuid.uuid4()
        self._part = self._place / f".{self.id}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(self._part, flags, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError:
            os.close(self._lock)
            raise
        self._seen = hashlib.sha256()
        self._bytes = 0
        self._began = time.monotonic()
        self._looked = -RESERVE_BYTES
        self._is_closed = False

    def write(self, piece: bytes) -> None:
        """Raises `Invalid` or `Conflict` when it becomes too much, or takes too long."""
        self._bytes += len(piece)
        most = self._most_mb
        if self._bytes > most * MIB:
            raise Invalid(_("An archive has at most %(most)s MiB.") % {"most": most}, field="archive")
        took = time.monotonic() - self._began
        if took > DEADLINE_S:
            raise Invalid(
                _("The archive did not arrive within %(deadline_s)s minutes.")
                % {"deadline_s": f"{DEADLINE_S / 60:g}"},
                field="archive",
            )
        if took > PATIENCE_S and self._bytes < took * SLOWEST_BYTES_S:
            raise Invalid(
                _("The archive arrives too slowly: at least %(pace)s KiB a second are asked for.")
                % {"pace": SLOWEST_BYTES_S // 1024},
                field="archive",
            )
        if self._bytes - self._looked >= 16 * MIB:
            self._looked = self._bytes
            at = os.statvfs(self._place)
            if at.f_bavail * at.f_frsize < RESERVE_BYTES + len(piece):
                raise Conflict(
                    _("The disk of the panel is too full: %(reserve_bytes)s MiB are kept as reserve.")
                    % {"reserve_bytes": RESERVE_BYTES // MIB},
                    code="disk_full",
                    field="archive",
                    next_step=_("Delete images that nobody needs, or make the disk larger."),
                )
        self._seen.update(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._file, view) :]

    def finish(self, *, sha256: str = "") -> Staged:
        """Raises `Invalid` when nothing came, or something else than was said."""
        if not self._bytes:
            raise Invalid(_("Choose a file: a tar archive of a root file system."), field="archive")
        seen = self._seen.hexdigest()
        if sha256 and sha256.lower() != seen:
            raise Invalid(_("What arrived has another sha256: %(seen)s.") % {"seen": seen}, field="sha256")
        os.fsync(self._file)
        self._part.rename(self._place / str(self.id))
        return Staged(self.id, seen, self._bytes)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        os.close(self._file)
        with suppress(FileNotFoundError):
            self._part.unlink()
        os.close(self._lock)


def _one_of_the_places(directory: Path, of: str, at_once: int) -> int:
    """The lock of a free one. Raises `TooMany` when all are taken."""
    for number in range(at_once):
        lock = os.open(directory / f".lock{of}{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return lock
    raise TooMany(
        _("%(count)s archives are being taken in right now.") % {"count": at_once},
        next_step=_("Try again when one is done."),
    )


@contextmanager
def intake(*, most_mb: int | None = None, places: str = "", at_once: int = AT_ONCE) -> Iterator[Intake]:
    one = Intake(most_mb=most_mb, places=places, at_once=at_once)
    try:
        yield one
    finally:
        one.close()


def length_of(request: HttpRequest) -> int:
    """Of its body, as it says. Raises `Invalid` when it doesn't."""
    try:
        return int(request.headers.get("Content-Length", ""))
    except ValueError as missing:
        raise Invalid(_("The request says its length: Content-Length."), field="Content-Length") from missing


def take_in(
    read: Callable[[int], bytes],
    length: int,
    *,
    sha256: str = "",
    most_mb: int | None = None,
    places: str = "",
    at_once: int = AT_ONCE,
) -> Staged:
    """All of a request's body of `length` bytes. Raises `Invalid` when less arrives; nothing stays then."""
    most = min(settings.WADAH.archive_max_mb, most_mb or settings.WADAH.archive_max_mb)
    if length > most * MIB:  # before anything is read
        raise Invalid(
            _("An archive has at most %(most)s MiB; this one has %(length)s.")
            % {"most": most, "length": -(-length // MIB)},
            field="archive",
        )
    with intake(most_mb=most_mb, places=places, at_once=at_once) as one:
        done = 0
        while piece := read(PIECE):
            one.write(piece)
            done += len(piece)
        if done < length:
            raise Invalid(
                _("Only %(done)s of %(length)s bytes arrived.") % {"done": done, "length": length},
                field="archive",
            )
        return one.finish(sha256=sha256)


def drain(read: Callable[[int], bytes], *, seconds: float = 60.0, most_bytes: int | None = None) -> None:
    """Throws away what a refused request still sends, so that its sender hears why: whoever stops reading is
    answered for by the front, with 502. Gives up after so long, or so much.

    One that sends nothing holds its thread until the front hangs up, so only a few are listened to at once: who
    is refused beyond them gets the front's 502."""
    if not _DRAINED.acquire(blocking=False):
        return
    until, left = time.monotonic() + seconds, PIECE if most_bytes is None else most_bytes
    try:
        with suppress(OSError):
            while left > 0 and (piece := read(min(left, PIECE))) and time.monotonic() < until:
                left -= 0 if most_bytes is None else len(piece)
    finally:
        _DRAINED.release()


def discard(archive_id: uuid.UUID | None) -> None:
    """A no-op when it is gone, or there is none."""
    if archive_id is not None:
        with suppress(FileNotFoundError):
            (directory() / str(archive_id)).unlink()


def belong(wanted: Callable[[], Iterable[uuid.UUID]]) -> None:
    """Registers who knows archives that something is still to be made of."""
    _OWNERS.append(wanted)


def sweep() -> int:
    """Deletes files that belong to nothing any more, of processes that died half-way; how many. Whose they are
    is asked after they were seen."""
    old = [entry for entry in directory().iterdir() if _is_old(entry)]
    names = {str(one) for wanted in _OWNERS for one in wanted()} if old else set()
    swept = 0
    for entry in old:
        if entry.name not in names and not _is_arriving(entry):
            entry.unlink(missing_ok=True)
            swept += 1
    return swept


def _is_old(entry: Path) -> bool:
    with suppress(FileNotFoundError):
        age = timezone.now().timestamp() - entry.lstat().st_mtime
        return not entry.name.startswith(".lock") and age > ORPHAN_S
    return False


def _is_arriving(entry: Path) -> bool:
    """Whether a process writes it, however old the clock, which was set meanwhile, makes it."""
    try:
        part = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(part)
    return False
