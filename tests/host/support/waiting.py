"""Waiting for what must come, generously, and no longer than it takes."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], what: str, *, within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"{what} did not come within {within_s:g} s"
        time.sleep(0.02)
