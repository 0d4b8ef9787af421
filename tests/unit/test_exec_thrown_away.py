"""A command that prints without end: what nobody will be told, the node reads at a pace."""

import os
import subprocess
import time

import pytest

from runtime.console import exec as console

LOOKED_S = 0.4


def test_what_is_thrown_away_is_read_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the pipe's speed, eight of them had the agent at work as much as a processor gave."""
    heard, read = [0], os.read

    def counted(fd: int, most: int) -> bytes:
        data = read(fd, most)
        heard[0] += len(data)
        return data

    monkeypatch.setattr(console.os, "read", counted)
    process = subprocess.Popen(
        ["cat", "/dev/zero"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    talk = console._Talk(process, b"", None)
    try:
        assert not talk.until_end(time.monotonic() + LOOKED_S)
    finally:
        process.kill()
        process.wait()
        talk.close()
    assert talk.cut
    assert len(talk.output[0]) == console.OUTPUT_BYTES
    pieces = LOOKED_S / console._THROWN_AWAY_S + 2
    assert heard[0] <= console.OUTPUT_BYTES + pieces * 65_536
