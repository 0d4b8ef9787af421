"""The real queues, raw: what lies in them, and messages put there by hand."""

import base64
import json
import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

#: Redis' transport keeps a list for each priority, named queue + separator + priority.
_LISTS = ("", "\x06\x163", "\x06\x166", "\x06\x169")


class Queue:
    def __init__(self, broker: "redis.Redis", name: str):
        self._broker = broker
        self.name = name

    def raw(self) -> list[bytes]:
        """Every message that waits, oldest first."""
        found: list[bytes] = []
        for suffix in _LISTS:
            found += reversed(self._broker.lrange(f"{self.name}{suffix}", 0, -1))
        return found

    def tasks(self) -> list[str]:
        return [json.loads(one)["headers"]["task"] for one in self.raw()]

    def drop(self) -> int:
        """Loses all that waits; how many."""
        count = len(self.raw())
        self._broker.delete(*(f"{self.name}{suffix}" for suffix in _LISTS))
        return count

    def put_again(self, messages: list[bytes], seed: int, times: int = 3) -> None:
        """Each so many times, in an order of its own, with new delivery tags: as a redelivery would."""
        copies = [_fresh(one) for one in messages for _ in range(times)]
        random.Random(seed).shuffle(copies)
        for one in copies:
            self._broker.lpush(self.name, one)

    def put(
        self,
        body: bytes,
        *,
        task: object = "runtime.apply",
        content_type: str = "application/json",
        headers: dict[str, Any] | None = None,
    ) -> None:
        """One message as Celery writes it, with whatever is given in it."""
        task_id = str(uuid.uuid4())
        sent = {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "argsrepr": "", "kwargsrepr": ""}
        message = {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8" if content_type == "application/json" else "binary",
            "content-type": content_type,
            "headers": {**sent, **(headers or {})},
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": self.name},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
        self._broker.lpush(self.name, json.dumps(message))

    def put_text(self, text: bytes) -> None:
        """Not even a message."""
        self._broker.lpush(self.name, text)


@contextmanager
def recorded(broker: "redis.Redis") -> Iterator[dict[str, list[bytes]]]:
    """Every message that is put into a queue meanwhile, by the queue's name."""
    found: dict[str, list[bytes]] = defaultdict(list)
    with broker.monitor() as monitor:
        thread = threading.Thread(target=_record, args=(monitor, found), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            broker.echo(_END)
            thread.join(10)


_END = "the recording ends"


def _record(monitor: Any, found: dict[str, list[bytes]]) -> None:
    while True:
        command = monitor.next_command()["command"]
        if command.endswith(_END):
            return
        verb, _, rest = command.partition(" ")
        if verb == "LPUSH":
            queue, _, message = rest.partition(" ")
            found[queue.split("\x06")[0]].append(message.encode())


def _fresh(message: bytes) -> bytes:
    document = json.loads(message)
    document["properties"]["delivery_tag"] = str(uuid.uuid4())
    return json.dumps(document).encode()


def body(*arguments: Any, embed: dict[str, Any] | None = None) -> bytes:
    return json.dumps([list(arguments), {}, embed or {}]).encode()
