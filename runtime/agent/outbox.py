"""Sends reports to the panel without ever waiting for Redis: newest wins when they pile up."""

import queue
import threading
import time
from typing import Any

import structlog
from celery import Celery

from runtime.contract import PANEL_QUEUE

log = structlog.get_logger()


class Outbox:
    """A thread of its own sends; `put` never blocks.

    A message with a key replaces a waiting one with the same key (the last heartbeat counts, the last
    report of an environment counts). At most `size` wait; the oldest goes first when there are more.
    """

    def __init__(self, app: Celery, size: int = 10_000):
        self._app = app
        self._size = size
        self._waiting: dict[object, tuple[str, Any]] = {}
        self._lock = threading.Lock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._send_all, name="outbox", daemon=True).start()

    def put(self, task: str, document: Any, key: object) -> None:
        with self._lock:
            self._waiting.pop((task, key), None)
            self._waiting[(task, key)] = (task, document)
            while len(self._waiting) > self._size:
                self._waiting.pop(next(iter(self._waiting)))
        self._bell.put(None)

    def _send_all(self) -> None:
        away = False
        while True:
            self._bell.get()
            with self._lock:
                if not self._waiting:
                    continue
                key = next(iter(self._waiting))
                task, document = self._waiting.pop(key)
            try:
                self._app.send_task(task, args=[document], queue=PANEL_QUEUE, retry=False)
                if away:
                    log.info("the broker is back")
                away = False
            except Exception as error:
                if not away:
                    log.warning("the broker is away", error=str(error))
                away = True
                with self._lock:
                    self._waiting.setdefault(key, (task, document))
                self._bell.put(None)
                time.sleep(0.5)
