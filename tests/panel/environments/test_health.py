"""Health of an app: refused where it can't be asked so, changed without a restart, shown while it runs."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from panel.audit.models import AuditRecord
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Invalid
from panel.tenants.models import Tenant
from runtime.contract import (
    AppSeen,
    EnvironmentEvent,
    EventCode,
    HealthSeen,
    HealthState,
    Kind,
    ObservedState,
)
from runtime.contract.words import health as words
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


def app(tenant: Tenant, **options: Any) -> Environment:
    return factories.environment(tenant, kind="app", image="r.example.com/a:1", is_running=False, app=options)


def seen(state: str, output: str = "") -> AppSeen:
    health = HealthSeen(state=HealthState(state), since=datetime.now(UTC), output=output)
    return AppSeen(image="r.example.com/a:1", digest="sha256:" + "ab" * 32, health=health)


@pytest.mark.parametrize(
    ("health", "field"),
    [
        ({"command": ""}, "app.health.command"),
        ({"command": []}, "app.health.command"),
        ({"command": ["a\0"]}, "app.health.command"),
        ({"http": "http://10.0.0.1/"}, "app.health.http"),
        ({"http": "80/a\r\nHost: b"}, "app.health.http"),
        ({"http": {"port": 80, "host": "10.0.0.1"}}, "app.health.http"),
        ({"tcp": 0}, "app.health.tcp"),
        ({"tcp": 1, "http": 2}, "app.health"),
        ({"tcp": 1, "disable": True}, "app.health"),
        ({"interval": 1}, "app.health.interval"),
        ({"interval": "often"}, "app.health.interval"),
        ({"timeout": "2m"}, "app.health.timeout"),
        ({"retries": 0}, "app.health.retries"),
        ({"start_period": 86_400}, "app.health.start_period"),
        ({"action": "reboot"}, "app.health.action"),
        ({"test": ["CMD", "x"]}, "app.health.test"),
    ],
)
def test_what_cant_be_asked_is_refused_by_its_field(tenant: Tenant, health: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        app(tenant, health=health)
    assert refused.value.field.startswith(field)
    assert not Environment.objects.exists()


def test_a_change_of_it_starts_nothing_anew(tenant: Tenant) -> None:
    row = app(tenant, health={"command": "true", "interval": "1m"})
    factories.reported(row)
    spec = spec_of(row)
    assert spec.app is not None
    assert spec.app.health is not None
    assert (spec.app.health.command, spec.app.health.interval) == (("/bin/sh", "-c", "true"), 60)
    actor = factories.administrator()
    changed = environments.update_environment(actor, row.pk, {"app": {"health": {"tcp": 80}}})
    assert changed.operation is not None
    assert changed.environment.boots == row.boots
    assert changed.environment.intent["app"]["health"]["command"] is None
    both = environments.update_environment(actor, row.pk, {"app": {"health": None, "tty": True}})
    assert both.environment.boots == row.boots + 1
    assert both.environment.intent["app"]["health"] is None


def test_it_is_shown_while_it_runs(tenant: Tenant) -> None:
    row = app(tenant)
    client = Client()
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")

    def shown() -> Any:
        answer = client.get(
            f"/api/v1/environments/{row.pk}", headers=factories.bearer(factories.administrator(), None, "*")
        )
        return json.loads(answer.content)["health"]

    assert shown() is None
    event = EnvironmentEvent(
        code=EventCode.UNHEALTHY, message=words.unhealthy(3, "<b>no</b>"), at=datetime.now(UTC)
    )
    factories.reported(row, app=seen("unhealthy", "<b>no</b>"), events=(event,))
    assert (shown()["state"], shown()["output"]) == ("unhealthy", "<b>no</b>")
    for page in (reverse("environment", args=[row.pk]), reverse("environments")):
        text = client.get(page).content.decode()
        assert "unhealthy" in text
        assert "<b>no</b>" not in text
    told = AuditRecord.objects.get(action="environment.unhealthy").after["message"]
    assert "3 checks in a row failed" in str(told)
    factories.reported(row, app=seen("healthy"))
    assert shown()["state"] == "healthy"
    factories.reported(row, state=ObservedState.STOPPED, app=seen("healthy"))
    assert shown() is None
