"""A Redis that answers and keeps nothing: supervisors hear what is wrong."""

from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import cache
from django.test import Client

from panel import circuit_breaker
from panel.clock.steady import BEAT_KEY, Moment
from tests.support.redis import redis_on

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("how", "said"),
    [(("CONFIG", "SET", "maxmemory", "1"), "full"), (("REPLICAOF", "127.0.0.1", "1"), "read only")],
    ids=["full", "read-only"],
)
def test_a_redis_that_takes_nothing_is_not_ready_and_says_why(
    tmp_path: Path, settings: Any, how: tuple[str, ...], said: str
) -> None:
    """The beat's last word is still there to be read, for as long as it counts as fresh."""
    circuit_breaker.BROKER.worked()
    with redis_on(tmp_path / "redis.sock") as socket:
        backend = {"BACKEND": "panel.config.cache.PatientCache", "LOCATION": f"unix://{socket}"}
        settings.CACHES = {"default": backend}
        cache.set(BEAT_KEY, Moment.now().note())
        assert Client().get("/readyz").status_code == 200
        redis.Redis(unix_socket_path=str(socket)).execute_command(*how)
        answer = Client().get("/readyz")
        assert answer.status_code == 503
        assert [one for one in answer.json()["problems"] if said in one], answer.json()
