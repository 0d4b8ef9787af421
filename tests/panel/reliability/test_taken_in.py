"""Bodies that never come, of requests that were refused: they hold up nobody else's files."""

import threading

from panel.builds.running import CONTEXTS
from panel.images.archives import AT_ONCE, DRAINED_AT_ONCE, drain
from panel.inside.services import COPIES
from panel.storage.uploads import PARTS
from runtime.install.roles import UPLOADS_AT_ONCE


def test_refused_bodies_that_never_come_hold_a_few_threads() -> None:
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    def read(_bytes: int) -> bytes:
        begun.release()
        assert goes_on.wait(60)
        return b""

    threads = [threading.Thread(target=drain, args=(read,), daemon=True) for _ in range(50)]
    for one in threads:
        one.start()
    try:
        assert all(begun.acquire(timeout=60) for _ in range(DRAINED_AT_ONCE))
        for one in threads[DRAINED_AT_ONCE:]:
            one.join(0)
        assert not begun.acquire(blocking=False), "and nobody else is waited for"
    finally:
        goes_on.set()
        for one in threads:
            one.join(60)
    left = iter((b"x", b""))
    drain(lambda _most: next(left))
    assert next(left, None) is None, "their places are free again"


def test_threads_are_left_when_all_places_are_taken() -> None:
    taken = AT_ONCE + sum(one.places for one in (COPIES, CONTEXTS, PARTS)) + DRAINED_AT_ONCE
    assert taken + 8 <= UPLOADS_AT_ONCE
