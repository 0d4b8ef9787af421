"""A console or terminal that somebody watches: one log read, any number of viewers.

conmon's log is what viewers get; its attach socket wakes us, takes what they type, and is the valve: while
the slowest viewer that keeps pace is `LAG_BYTES` behind, it isn't read, conmon waits, and so does the pty.
A viewer that makes no progress for `STALL_S` loses that say, so that no dead browser holds an environment.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from runtime.console.attach import PACKET_BYTES, Attachment, resize
from runtime.console.log import ConsoleLog
from runtime.host.inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify

log = structlog.get_logger()

#: What a viewer is shown of the past when it doesn't say where to begin.
TAIL_BYTES = 256 * 1024
#: The valve closes when a viewer is so far behind.
LAG_BYTES = 2**20
#: Of what a client that acknowledges has been sent, at most this much is unacknowledged.
FLIGHT_BYTES = 2**20
STALL_S = 5.0
#: Recent content kept decoded for all viewers; who is further behind reads the file.
RING_BYTES = 2 * LAG_BYTES
PIECE_BYTES = 128 * 1024
#: What was read of the file last is kept decoded for the next viewer, so many pieces: a tail of short lines,
#: which everybody begins with, is ten.
_KEPT_PIECES = 12
#: Read and decoded in one turn of the event loop, so that other consoles get theirs.
_TURN_BYTES = 256 * 1024
#: Typed, and not yet taken by the environment.
TYPED_BYTES = 2**20
#: While no conmon is there: how soon it is looked for again.
_LOOK_S = 0.2
#: How soon a new size of the window is said again.
_SIZE_AGAIN_S = (0.25, 2.0)
#: Without viewers, offsets are kept up for so long.
LINGER_S = 120.0


class Viewer:
    """One client's place in the stream."""

    def __init__(self, stream: "Stream", *, read_only: bool):
        self.stream = stream
        self.read_only = read_only
        self.cursor = 0
        """Sent up to here."""
        self.acknowledged = 0
        self.acknowledges = False
        self.keeps_pace = False
        self.progress_at = time.monotonic()
        self.wake = asyncio.Event()
        self.notices: deque[dict[str, object]] = deque(maxlen=32)
        """Control messages to be sent between pieces."""

    @property
    def position(self) -> int:
        return self.acknowledged if self.acknowledges else self.cursor

    @property
    def may_send(self) -> bool:
        return not self.acknowledges or self.cursor - self.acknowledged < FLIGHT_BYTES

    def notify(self, notice: dict[str, object]) -> None:
        self.notices.append(notice)
        self.wake.set()

    def sent(self, cursor: int) -> None:
        self.cursor = cursor
        if not self.acknowledges:
            self._progressed()

    def acknowledge(self, offset: int) -> None:
        """The client has shown everything up to `offset`; nonsense is clamped to what it was sent."""
        if not self.acknowledges:
            self.acknowledges = True
            self.acknowledged = min(offset, self.cursor)
        if self.acknowledged < offset <= self.cursor:
            self.acknowledged = offset
        self._progressed()
        self.wake.set()

    def _progressed(self) -> None:
        self.progress_at = time.monotonic()
        self.stream.viewer_progressed(self)


class Stream:
    """Made when the first viewer comes. `on_idle` is called when nobody watched for `LINGER_S`."""

    def __init__(self, directory: Path, bundle: Path, on_idle: Callable[["Stream"], None]):
        """`directory` holds the log; `bundle` the attach socket and fifos of its conmon."""
        self.directory = directory
        self.bundle = bundle
        self.viewers: set[Viewer] = set()
        self.log = ConsoleLog(directory)
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._attachment: Attachment | None = None
        self._reading = False
        self._behind = False
        """The log had more than one turn's worth."""
        self._typed = bytearray()
        self._ring: deque[tuple[int, bytes]] = deque()
        self._ring_size = 0
        self._pieces: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        self._inotify: Inotify | None = None
        self._files_moved = 0
        self._inode = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sizes: list[asyncio.TimerHandle] = []
        self._pumping = False
        self._ready = asyncio.Lock()
        self._caught_up = False
        self._left_at = time.monotonic()
        self.seen_running = False
        self.closed = False

    @property
    def running(self) -> bool:
        return self._attachment is not None

    @property
    def replaced(self) -> bool:
        """Whether the log's directory is another (or none) by now: closed and made anew meanwhile."""
        try:
            return self._caught_up and self.directory.stat().st_ino != self._inode
        except OSError:
            return True

    # viewers ---------------------------------------------------------------------------------

    async def join(self, viewer: Viewer, offset: int) -> dict[str, object]:
        """Adds the viewer at `offset` (negative: at the tail); returns the `start` message.

        The viewer's cursor may be greater than asked for (a gap), or smaller: this console never
        had so much, it is another than the client knows.
        """
        async with self._ready:
            if not self._caught_up:
                await self._begin()
        begin, end = self.log.begin, self.log.end
        if offset < 0 or offset > end:
            viewer.cursor = self._tail(begin, end)
        else:
            viewer.cursor = max(offset, begin)
        viewer.acknowledged = viewer.cursor
        viewer.keeps_pace = end - viewer.cursor <= LAG_BYTES
        self.viewers.add(viewer)
        self._connect()
        self._announce_viewers()
        return {
            "type": "start",
            "offset": viewer.cursor,
            "end": end,
            "viewers": len(self.viewers),
            "read_only": viewer.read_only,
        }

    def _tail(self, begin: int, end: int) -> int:
        """Beginning of a line, at most `TAIL_BYTES` before the end."""
        start = max(begin, end - TAIL_BYTES)
        if start == begin:
            return start
        at, piece = self._of_file(start)
        return at + piece.find(b"\n") + 1

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        self._announce_viewers()
        if not self.viewers:
            self._left_at = time.monotonic()
            self._detach()
            self._again(LINGER_S)
        else:
            self._schedule()

    def _announce_viewers(self) -> None:
        for one in self.viewers:
            one.notify({"type": "viewers", "count": len(self.viewers)})

    def _tell(self, notice: dict[str, object]) -> None:
        for one in self.viewers:
            one.notify(notice)

    def viewer_progressed(self, viewer: Viewer) -> None:
        if not viewer.keeps_pace and self.log.end - viewer.position <= LAG_BYTES:
            viewer.keeps_pace = True
        if self._attachment is not None and not self._reading:
            self._schedule()

    def piece(self, cursor: int) -> tuple[int, bytes]:
        """What follows `cursor`: (its offset, content). A greater offset than `cursor` is a gap."""
        if self._ring and cursor >= self._ring[0][0]:
            found: list[bytes] = []
            for offset, chunk in reversed(self._ring):
                if offset + len(chunk) <= cursor:
                    break
                found.append(chunk)
                first = offset
            if not found:
                return cursor, b""
            found.reverse()
            return self._cut(first, found, cursor)
        return self._of_file(cursor)

    def _of_file(self, cursor: int) -> tuple[int, bytes]:
        """As `piece`; what many viewers ask for is decoded once. What was printed once stays as it is."""
        if (kept := self._pieces.get(cursor)) is not None:
            self._pieces.move_to_end(cursor)
            return kept
        found = self.log.content_at(cursor)
        if found[1]:
            self._pieces[cursor] = found
            if len(self._pieces) > _KEPT_PIECES:
                self._pieces.popitem(last=False)
        return found

    @staticmethod
    def _cut(first: int, chunks: list[bytes], cursor: int) -> tuple[int, bytes]:
        """Pieces from `cursor` on, of at most about `PIECE_BYTES`, up to the next gap."""
        start = max(first, cursor)
        head = chunks[0][start - first :]
        if len(chunks) == 1 or len(head) >= PIECE_BYTES:
            return start, head
        pieces, size = [head], len(head)
        for chunk in chunks[1:]:
            if size >= PIECE_BYTES:
                break
            pieces.append(chunk)
            size += len(chunk)
        return start, b"".join(pieces)

    # the log ---------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Watches for changes of file, then counts what is there."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self._inode = self.directory.stat().st_ino
        self._inotify = Inotify()
        self._watch(attached=False)
        self._loop.add_reader(self._inotify.fd, self._noticed)
        for _ in iter(self.log.read, b""):
            await asyncio.sleep(0)
        self._caught_up = True

    def _watch(self, *, attached: bool) -> None:
        """Attached, the socket wakes us, so that writes to the log needn't."""
        if self._inotify is not None:
            with suppress(OSError):
                self._inotify.watch(self.directory, IN_MOVED_TO | (0 if attached else IN_MODIFY | IN_CREATE))

    def _noticed(self) -> None:
        assert self._inotify is not None
        moved = sum(1 for _, mask, name in self._inotify.events() if mask & IN_MOVED_TO and name == "log")
        if moved:
            self._files_moved += moved
            self.log.look()
            if self._files_moved > self.log.files_seen:
                self.log.missed(self._files_moved - self.log.files_seen)
        if self._caught_up and (self.viewers or moved) and not self._held():
            self._schedule()

    def _schedule(self) -> None:
        if not self._pumping and not self.closed and self._caught_up:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _readable(self) -> None:
        """The attach socket has something: the log has had it already."""
        self._pump()

    def _pump(self) -> None:
        """Reads the log, hands it on, and opens or closes the valve."""
        self._pumping = False
        if self.closed:
            return
        if self._held():
            self._read_attachment(False)
            self._again(1.0)
            return
        # taken first: what conmon writes after this wakes us again
        alive = self._attachment is None or self._behind or self._attachment.take()
        got = 0
        while got < _TURN_BYTES and (content := self.log.read(_TURN_BYTES)):
            got += len(content)
            self._keep(content)
        self._behind = got >= _TURN_BYTES
        if got:
            for viewer in self.viewers:
                viewer.wake.set()
        if not alive:
            self._ended()
            return
        self._read_attachment(True)
        if self._behind:
            self._schedule()

    def read_rest(self) -> None:
        """After the end: what conmon wrote last. Cheap; conmon leaves at most a few KiB behind."""
        while not self.closed and (content := self.log.read(_TURN_BYTES)):
            self._keep(content)

    def _keep(self, content: bytes) -> None:
        offset = self.log.end - len(content)
        if self._ring and self._ring[-1][0] + len(self._ring[-1][1]) != offset:
            self._ring.clear()  # behind a gap; who is before it reads the file
            self._ring_size = 0
        if self._ring and len(content) + len(self._ring[-1][1]) <= 4096:
            before, chunk = self._ring.pop()
            self._ring.append((before, chunk + content))
        else:
            self._ring.append((offset, content))
        self._ring_size += len(content)
        while self._ring_size > RING_BYTES:
            self._ring_size -= len(self._ring.popleft()[1])

    def _held(self) -> bool:
        """Whether a viewer that keeps pace is too far behind."""
        now = time.monotonic()
        held = False
        for viewer in self.viewers:
            if not viewer.keeps_pace or self.log.end - viewer.position <= LAG_BYTES:
                continue
            if now - viewer.progress_at > STALL_S:
                viewer.keeps_pace = False
            else:
                held = True
        return held

    # conmon ----------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self._attachment is not None or self.closed:
            return
        try:
            self._attachment = Attachment(self.bundle)
        except OSError:
            self._again(_LOOK_S)
            self._schedule()
            return
        self.seen_running = True
        self._watch(attached=True)
        self._read_attachment(True)
        self._tell({"type": "state", "state": "running"})
        self._schedule()

    def _read_attachment(self, wanted: bool) -> None:
        if self._attachment is None or self._reading == wanted:
            return
        self._reading = wanted
        if wanted:
            self._loop.add_reader(self._attachment.fileno(), self._readable)
        else:
            self._loop.remove_reader(self._attachment.fileno())

    def _ended(self) -> None:
        """conmon is gone: what it left in the log is read, then it is looked for anew."""
        self._detach()
        self._schedule()
        self._tell({"type": "state", "state": "stopped"})
        self._again(_LOOK_S)

    def _detach(self) -> None:
        if self._attachment is None:
            return
        self._read_attachment(False)
        self._loop.remove_writer(self._attachment.fileno())
        self._attachment.close()
        self._attachment = None
        self._typed.clear()
        self._watch(attached=False)

    def _again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.closed:
            return
        if not self.viewers:
            left = self._left_at + LINGER_S - time.monotonic()
            if left > 0 and not self.replaced:
                self._again(left)
            else:
                self.close()
        elif self._attachment is None:
            if self.replaced:
                self._tell({"type": "error", "code": "gone", "message": "This console is gone."})
                self.close()
                return
            self._connect()
        else:
            self._schedule()

    # typing ----------------------------------------------------------------------------------

    def type(self, data: bytes) -> bool:
        """Sends to the environment; False when too much waits there already, or nobody is there."""
        if self._attachment is None or len(self._typed) + len(data) > TYPED_BYTES:
            return False
        waited = bool(self._typed)
        self._typed += data
        if not waited:
            self._send()
        return True

    def _send(self) -> None:
        attachment = self._attachment
        if attachment is None:
            return
        try:
            while self._typed:
                sent = attachment.send(bytes(self._typed[:PACKET_BYTES]))
                if not sent:
                    self._loop.add_writer(attachment.fileno(), self._send)
                    return
                del self._typed[:sent]
        except OSError:
            self._typed.clear()
        self._loop.remove_writer(attachment.fileno())

    def resize(self, columns: int, rows: int) -> None:
        """Said again a little later: conmon (2.1.6) that finds several sizes at once takes the first of them
        each time (containers/conmon#566), and the last one, which counts, would be lost."""
        self._say_no_size_again()
        resize(self.bundle, columns, rows)
        self._sizes = [
            self._loop.call_later(delay, resize, self.bundle, columns, rows) for delay in _SIZE_AGAIN_S
        ]

    def _say_no_size_again(self) -> None:
        for timer in self._sizes:
            timer.cancel()

    # the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._detach()
        self._say_no_size_again()
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            self._loop.remove_reader(self._inotify.fd)
            self._inotify.close()
        self.log.close()
        for viewer in self.viewers:
            viewer.wake.set()
        self._on_idle(self)
