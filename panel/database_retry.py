"""A database that is away for a while costs no report: its message waits, and is read when it is back."""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import structlog
from celery.exceptions import Reject
from django.db import InterfaceError, OperationalError, connection

P = ParamSpec("P")

log = structlog.get_logger()

#: Tried for so long by one worker before the message goes back to the head of its queue. Less than the time
#: after which Redis gives a message to another worker.
TRY_S = 12.0
_FIRST_WAIT_S, _MOST_WAIT_S = 0.2, 2.0


def until_stored(task: Callable[P, None]) -> Callable[P, None]:
    """Under a task's name: tries again while the database can't be reached, is locked, read-only or full."""

    @wraps(task)
    def kept(*args: P.args, **options: P.kwargs) -> None:
        until, wait = time.monotonic() + TRY_S, _FIRST_WAIT_S
        while True:
            try:
                return task(*args, **options)
            except (OperationalError, InterfaceError) as away:
                connection.close()
                log.warning("database away", task=task.__name__, error=str(away)[:200])
                if time.monotonic() > until:
                    raise Reject(str(away), requeue=True) from away
            time.sleep(wait)
            wait = min(wait * 2, _MOST_WAIT_S)

    return kept
