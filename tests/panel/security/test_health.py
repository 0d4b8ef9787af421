"""What supervisors are told, and strangers not."""

import pytest
from django.core.cache import cache
from django.test import Client

from panel.config import health
from tests.panel.support import factories


@pytest.mark.django_db
def test_causes_are_for_this_machine_and_for_administrators() -> None:
    cache.delete(health.BEAT_KEY)
    here, stranger = Client().get("/readyz"), Client(REMOTE_ADDR="198.51.100.1").get("/readyz")
    assert (here.status_code, stranger.status_code) == (503, 503)
    assert "beat" in str(here.json()["problems"])
    assert stranger.json() == {"status": "not ready"}
    token = factories.bearer(factories.administrator(), None, "*")
    assert Client(REMOTE_ADDR="198.51.100.1", headers=token).get("/readyz").json()["problems"]
    faked = Client(REMOTE_ADDR="", headers={"X-Forwarded-For": "127.0.0.1, 198.51.100.1"}).get("/readyz")
    assert "problems" not in faked.json()


@pytest.mark.django_db
def test_metrics_are_for_administrators() -> None:
    for client in (Client(), Client(headers={"Authorization": "Bearer wdh_x"})):
        assert client.get("/metrics").status_code == 401
