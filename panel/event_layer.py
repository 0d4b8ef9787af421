"""The channel layer, with a way to publish from ordinary code without an event loop.

`async_to_sync` would make a loop and a Redis connection for each message; this uses one kept connection.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import redis
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.utils import decode_hosts


class EventLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # channels_redis has no types
    """A publish-subscribe layer over one Redis."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._address = decode_hosts(options.get("hosts"))[0]["address"]
        self._prefix = options.get("prefix", "asgi")

    @cached_property
    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self._address, socket_timeout=1, socket_connect_timeout=1)

    def publish(self, messages: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Send (group, message) pairs in one round trip. Raises `redis.RedisError` when Redis is away."""
        with self._client.pipeline(transaction=False) as pipe:
            for group, message in messages:
                pipe.publish(f"{self._prefix}__group__{group}", self.serialize(message))
            pipe.execute()
