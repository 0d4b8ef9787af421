"""Redis as the cache, and this process's own memory while Redis is away.

What counts (sign-in's rate limits) goes on being counted, per process; nothing whose loss would matter is kept
in a cache at all: sessions are rows.
"""

import time
from collections.abc import Callable
from typing import Any

import redis
import structlog
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

from panel.circuit_breaker import BROKER

log = structlog.get_logger()

_VERBS = (
    "add",
    "get",
    "set",
    "touch",
    "delete",
    "get_many",
    "has_key",
    "incr",
    "set_many",
    "delete_many",
    "clear",
)


class PatientCache(RedisCache):
    """Never raises because of Redis."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("while-redis-is-away", {**params, "OPTIONS": {}})


def _guarded(verb: str) -> Callable[..., Any]:
    def act(self: PatientCache, *args: Any, **options: Any) -> Any:
        if not BROKER.rests:
            began = time.monotonic()
            try:
                answer = getattr(RedisCache, verb)(self, *args, **options)
            except (redis.RedisError, OSError) as error:
                BROKER.failed(began)
                log.warning("cache away", error=type(error).__name__)
            else:
                return answer
        return getattr(self._own, verb)(*args, **options)

    return act


for _verb in _VERBS:
    setattr(PatientCache, _verb, _guarded(_verb))
