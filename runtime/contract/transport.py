"""How both ends hold on to Redis: the same options, back within two seconds of its return, what a killed worker
had in hand taken up by the one that follows, and no message that could end a worker.

Not imported by the package: only workers and senders need Celery.
"""

import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from celery import bootsteps
from celery.platforms import EX_FAILURE
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.transport import TRANSPORT_ALIASES, redis

from runtime.contract.task_names import PANEL_REPORTS, REPORT_QUEUE

log = structlog.get_logger()

#: A message that nobody acknowledged for this long is given out again, for the case that `TakeBack` could not.
VISIBILITY_S = 20
#: A Redis that hangs is as good as none after this.
CONNECT_S, ANSWER_S = 1, 5
#: Numbers of Redis' transport: a lower one is taken first. What many ask for together waits behind single
#: requests, and what is sent again behind both.
ASKED, MANY, AGAIN = 0, 3, 6


#: In place of the arguments in the header of a message: Celery would write them out there once more, for logs.
UNSHOWN = "(…)"


def transport_options(reader: str, *, visibility_s: int = VISIBILITY_S) -> dict[str, Any]:
    """For one reader of queues: its unacknowledged messages are kept under keys of its own.

    So the process that takes its place can tell them from those that others are still at work on.
    """
    return {
        "visibility_timeout": visibility_s,
        "unacked_restore_interval": 1,
        "unacked_key": f"unacked.{reader}",
        "unacked_index_key": f"unacked_index.{reader}",
        "unacked_mutex_key": f"unacked_mutex.{reader}",
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": ANSWER_S,
    }


@contextmanager
def _mutex(client: Any, name: str, expire: int) -> Iterator[None]:
    """Kombu's `Mutex`, without the script that it ends by: who may run scripts can hold up the whole server.

    Where it expired in between, two put back the same messages, which is harmless. Raises `MutexHeld`.
    """
    mine = secrets.token_hex(16)
    if not client.set(name, mine, nx=True, ex=expire):
        raise redis.MutexHeld
    try:
        yield
    finally:
        if client.get(name) in (mine, mine.encode()):
            client.delete(name)


redis.Mutex = _mutex


class Channel(redis.Channel):
    """Kombu's; what isn't a message at all is dropped, where it would end the worker."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Kombu's, which takes any certificate for Redis' own unless it is told not to."""
        client = self.connection.client
        if client is not None and client.ssl:
            said = client.ssl if isinstance(client.ssl, dict) else {}
            client.ssl = {**said, "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc, no-any-return]

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except self.connection_errors:  # type: ignore[attr-defined]
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("what is no message dropped", error=f"{type(error).__name__}: {error}"[:200])
            return True

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Kombu's; a worker that can't acknowledge ends, and is started again by its supervisor.

        What it can't acknowledge counts as in hand for ever: with all hands full it would never look for
        another message, nor notice that its connection is gone.
        """
        try:
            super().basic_ack(delivery_tag, multiple)
        except self.connection_errors:  # type: ignore[attr-defined]
            worker_state.should_stop = EX_FAILURE  # type: ignore[assignment]  # read as an exit code
            raise


class Transport(redis.Transport):
    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        """Kombu's; but a message says the queue that it was read from, not what its sender wrote there.

        By that it is put back when it stays unacknowledged: a node could have the panel put what it made up
        into the queue of another node.
        """
        message["properties"]["delivery_info"] |= {"exchange": "", "routing_key": queue}
        super()._deliver(message, queue)


# by every alias there is, so that a URL of any form (socket, TLS) leads here, and no other one anywhere
TRANSPORT_ALIASES.clear()
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))


class Consumer(CeleryConsumer):
    """Celery's, but it looks for a broker that went away every two seconds, not ever more seldom; and a message
    that can't be understood is refused and written to the log, whatever is wrong with it."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*arguments, **options)
        away: tuple[type[Exception], ...] = self.conninfo.connection_errors  # type: ignore[attr-defined]

        def guarded(message: Any) -> Any:
            try:
                task = message.headers.get("task")
                refuse_follow_ups(task, message.payload)
                refuse_strangers(task, message.delivery_info["routing_key"])
                return handle(message)
            except away:
                raise
            except Exception as error:  # the edge: one message must not end the worker
                log.error("message refused", error=f"{type(error).__name__}: {error}"[:200])
                message.reject_log_error(log, away)
                return None

        return guarded

    def ensure_connected(self, conn: Any) -> Any:
        def say(error: Exception, interval: float) -> None:
            log.warning("broker away", error=type(error).__name__, again_in_s=round(interval, 1))

        connected = conn.ensure_connection(
            say, None, interval_start=0.2, interval_step=0.4, interval_max=2.0, callback=self._stop_if_asked
        )
        self.first_connection_attempt = False
        return connected

    @staticmethod
    def _stop_if_asked() -> None:
        from celery.worker.state import maybe_shutdown  # noqa: PLC0415

        maybe_shutdown()


def refuse_follow_ups(task: Any, body: Any) -> None:
    """Raises `ValueError` for a message that isn't of Celery's second form, that names tasks to be sent when it
    is done, or asks for one of Celery's own, which do nothing else.

    Its reader would send those with its own rights: a node could have the panel speak to another node.
    https://docs.celeryq.dev/en/stable/internals/protocol.html
    """
    if not isinstance(task, str) or task.startswith("celery."):
        raise ValueError("no task of ours")
    if not isinstance(body, list | tuple) or len(body) != 3:
        raise ValueError("no message of Celery's second form")
    more = body[2]
    if more is not None and (not isinstance(more, dict) or any(more.values())):
        raise ValueError("it brings tasks of its own")


def refuse_strangers(task: str, queue: str) -> None:
    """Raises `ValueError` for what isn't a report, in the queue that nodes can write to."""
    if queue == REPORT_QUEUE and task not in PANEL_REPORTS:
        raise ValueError(f"{task[:80]} is no report")


class TakeBack(bootsteps.StartStopStep):
    """Puts back, once at the start, what the worker before this one was killed with.

    Waiting for the visibility timeout would cost 20 s. Doing it twice is harmless: messages only say "look".
    """

    requires = ("celery.worker.consumer.connection:Connection",)
    _done = False

    def start(self, consumer: CeleryConsumer) -> None:
        if TakeBack._done:
            return
        TakeBack._done = True
        try:
            count = take_back(consumer.connection)
        except Exception as error:  # the visibility timeout is there as well
            log.warning("unacknowledged messages not taken back", error=type(error).__name__)
        else:
            if count:
                log.warning("messages of a killed worker taken back", count=count)


def take_back(connection: Any) -> int:
    """How many messages were unacknowledged under this connection's keys, and lie in their queues again."""
    channel = connection.default_channel
    tags = channel.client.zrange(channel.unacked_index_key, 0, -1)
    for tag in tags:
        channel.qos.restore_by_tag(tag if isinstance(tag, str) else tag.decode())
    return len(tags)
