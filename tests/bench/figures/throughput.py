"""How fast a console comes to a browser."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.measure import Goal, Row, Series, Skipped

TITLE = "pty to WebSocket client, and the memory of the processes between while it flows"
_MIB = 2**20
_BYTES = 64 * _MIB
#: Not counted: prompt, echo, and the first pieces, which are small.
_BEGINNING = 64 * 1024
_ACK_EVERY = 256 * 1024
_PRINTS = {
    "without line ends": "head -c {size} /dev/zero",
    "lines of 80 characters": "yes {line} | head -c {size}",
}


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    made = bench.client.create(limits={"cpu": 2, "memory_mb": 128, "disk_mb": 128})
    try:
        for label, prints in _PRINTS.items():
            rate = Series(label, "MB/s", goals=(Goal("median", 50, at_least=True),))
            with _Memory(bench, made) as memory:
                for turn in range(max(3, bench.runs // 6)):
                    rate.add(_flow(bench, made, f"t{len(prints)}-{turn}", prints))
            yield rate.row(note=f"{_BYTES // _MIB} MiB each; resident memory {memory.said()}")
    finally:
        bench.client.delete(made)


def _flow(bench: Bench, made: str, name: str, prints: str) -> float:
    """MB/s from the first byte to the last."""
    with closing(bench.client.socket(f"/ws/environments/{made}/terminals/{name}")) as socket:
        socket.send('{"type":"resume","offset":0}')
        socket.send('{"type":"ack","offset":0}')
        time.sleep(0.3)
        command = prints.format(size=_BYTES, line="x" * 79)
        socket.send(f"stty raw -echo; sleep 0.2; {command}; exit\n".encode())
        got, began, acked, offset = 0, 0.0, 0, 0
        while got < _BYTES - _BEGINNING:
            message = socket.recv(timeout=30)
            if isinstance(message, str):
                offset = json.loads(message).get("to", offset)
                continue
            offset += len(message)
            if offset < _BEGINNING:
                continue
            if not got:
                began = time.perf_counter()
            got += len(message)
            if offset - acked >= _ACK_EVERY:
                acked = offset
                socket.send(json.dumps({"type": "ack", "offset": offset}))
        return got / (time.perf_counter() - began) / 1e6


class _Memory:
    """Resident memory of the processes between pty and client, looked at while they work."""

    def __init__(self, bench: Bench, made: str):
        roles = bench.processes()
        self._pids = {role: roles[role] for role in ("agent", "ws", "front")}
        self._begin: dict[str, int] = {}
        self._most: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _look(self) -> dict[str, int]:
        return {role: sum(_resident(pid) for pid in pids) for role, pids in self._pids.items()}

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            for role, size in self._look().items():
                self._most[role] = max(self._most.get(role, 0), size)

    def __enter__(self) -> "_Memory":
        self._begin = self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def said(self) -> str:
        return ", ".join(
            f"{role} {self._begin[role] / _MIB:.0f} → at most {most / _MIB:.0f} MiB"
            for role, most in self._most.items()
        )


def _resident(pid: int) -> int:
    """Bytes: the second field of proc_pid_statm(5), in pages of 4 KiB."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0
