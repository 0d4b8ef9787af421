"""Redis as the cache, and this process's own memory while Redis is away.

What counts (sign-in's rate limits) goes on being counted, per process; nothing whose loss would matter is kept
in a cache at all: sessions are rows.
"""

import time
from collections.abc import Callable
from typing import Any

import redis
import structlog
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
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

    def trouble(self) -> str:
        """Why Redis keeps nothing right now, in a few words; empty when it does."""
        if BROKER.hangs:
            return "does not answer"
        began = time.monotonic()
        try:
            RedisCache.set(self, "kept", 1, 60)
        except redis.OutOfMemoryError:
            return "full, nothing can be written"
        except redis.ResponseError as error:  # READONLY, MISCONF, NOPERM
            return f"refuses to write: {str(error)[:200]}"
        except (redis.RedisError, OSError):
            BROKER.failed(began)
            return "does not answer"
        return ""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("while-redis-is-away", {**params, "OPTIONS": {}})


def redis_trouble() -> str:
    """As `PatientCache.trouble`; empty where there is no Redis."""
    one = caches[DEFAULT_CACHE_ALIAS]
    return one.trouble() if isinstance(one, PatientCache) else ""


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
