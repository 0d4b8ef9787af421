"""What a program that reads a repository writes, piece by piece: never waited for without an end.

A repository that never answers (a file of it that is none, a key that takes hours to derive) would else hold a
place that all tenants share.
"""

import os
import select
import subprocess
import time

from runtime.contract.words import backups as words
from runtime.errors import RuntimeFault
from runtime.sandboxes.base import Apart

_PIECE_BYTES = 256 * 1024
_MOST_SAID = 64 * 1024


class Reading:
    """Of standard output, which is read without a buffer."""

    def __init__(self, process: "subprocess.Popen[bytes]", within: Apart, most_s: float):
        """`most_s`: for all of it, however slowly it is taken."""
        assert process.stdout
        self._process, self._within, self._fd = process, within, process.stdout.fileno()
        self._until = time.monotonic() + most_s
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def piece(self, within_s: float) -> bytes:
        """Empty at the end. Raises `RuntimeFault` (`too_long`)."""
        left_s = min(within_s, self._until - time.monotonic())
        if left_s <= 0 or not self._poll.poll(left_s * 1000):
            raise self._too_long()
        return os.read(self._fd, _PIECE_BYTES)

    def ended(self, within_s: float) -> tuple[int, str]:
        """How it ended, and what it said of that. Raises `RuntimeFault` (`too_long`)."""
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise self._too_long() from None
        assert self._process.stderr
        return status, self._process.stderr.read(_MOST_SAID).decode(errors="replace")

    def _too_long(self) -> RuntimeFault:
        self._within.end()
        return RuntimeFault(words.too_long(), code="too_long", next_step=words.look_at_it())
