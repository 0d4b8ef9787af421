"""Sends messages to the panel without ever holding up who sends: Redis may be away for hours."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import structlog
from celery import Celery

from runtime.contract import REPORT_QUEUE, Sealed
from runtime.contract.transport import UNSHOWN
from runtime.node import Node

log = structlog.get_logger()

MAX_WAITING = 10_000
_FIRST_DELAY_S, _LAST_DELAY_S = 0.5, 2.0
#: Task, its one argument, and for how many seconds it is worth reading.
_Message = tuple[str, dict[str, Any], float | None]


class Outbox:
    """A bounded queue and one thread. Of messages with the same key only the newest is sent, under the node's
    seal as it is then."""

    def __init__(self, app: Celery, node: Node):
        self._app = app
        self._node = node
        self._waiting: OrderedDict[Hashable, _Message] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, key: Hashable, task: str, document: dict[str, Any], *, fresh_s: float | None = None) -> None:
        """Never waits. The oldest message goes when `MAX_WAITING` wait.

        `fresh_s`: not worth being read later than this, so that a panel that comes back isn't flooded.
        """
        with self._changed:
            self._waiting.pop(key, None)
            self._waiting[key] = (task, document, fresh_s)
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)
            self._changed.notify()

    def send(self, key: Hashable, task: str, document: dict[str, Any]) -> None:
        """At once and in the caller's thread; when the broker is away or others wait already, like `put`."""
        with self._changed:
            is_quiet = not self._waiting
        if not (is_quiet and self._send(task, document, None)):
            self.put(key, task, document)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                key, message = next(iter(self._waiting.items()))
            if self._send(*message):
                delay = _FIRST_DELAY_S
                with self._changed:
                    if self._waiting.get(key) is message:
                        del self._waiting[key]
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._closed, delay)
            delay = min(_LAST_DELAY_S, delay * 2)

    def _send(self, task: str, document: dict[str, Any], fresh_s: float | None) -> bool:
        try:
            key = self._node.report_key.read_bytes().strip()
            sealed = Sealed.of(document, task=task, node=self._node.name, key=key)
            # declares nothing: the node's user of Redis may add to this queue, not change where messages go
            self._app.send_task(
                task,
                args=[sealed.model_dump(mode="json")],
                queue=REPORT_QUEUE,
                declare=[],
                retry=False,
                expires=fresh_s,
                argsrepr=UNSHOWN,
            )
        except Exception as away:
            log.warning("broker away", task=task, error=type(away).__name__)
            return False
        return True
