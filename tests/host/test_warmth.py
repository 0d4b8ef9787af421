"""Keeping attaches warm changes nothing but how long they take (cgroup v1)."""

import os
import threading
import time
from pathlib import Path

import pytest

from runtime.host.cgroup import version, warm


@pytest.mark.skipif(version() == 2, reason="cgroup v2 has nothing to keep warm")
def test_warmth_ends_by_itself_and_leaves_its_process_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "LINGER_S", 0.1)
    attached: list[str] = []
    write = warm.write

    def counted(path: Path, text: str) -> None:
        attached.append(text)
        write(path, text)

    monkeypatch.setattr(warm, "write", counted)
    before = Path("/proc/self/cgroup").read_text()
    kept = warm.Warmth()
    kept.ask()
    kept.ask()
    assert [thread.name for thread in threading.enumerate()].count("warmth") == 1
    until = time.monotonic() + 10
    while "warmth" in [thread.name for thread in threading.enumerate()]:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert set(attached) == {str(os.getpid())}
    assert Path("/proc/self/cgroup").read_text() == before
    kept.ask()
    assert "warmth" in [thread.name for thread in threading.enumerate()]
