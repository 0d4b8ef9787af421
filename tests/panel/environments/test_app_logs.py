"""Where an app's log goes: asked for, acting at once, and what came of it shown."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Invalid
from panel.tenants.models import Tenant
from runtime.contract import AppSeen, Kind, LogsSeen, LogsState
from runtime.contract.words import shipping
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

TO = "syslog+tcp://10.0.0.9:514"


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


def app(tenant: Tenant, logs: Any) -> Environment:
    return factories.environment(
        tenant, kind="app", image="r.example.com/a:1", is_running=False, app={"logs": logs}
    )


@pytest.mark.parametrize(
    ("logs", "field"),
    [
        ({"to": "http://10.0.0.9"}, "app.logs.to"),
        ({"to": "syslog+tcp://me:secret@10.0.0.9"}, "app.logs.to"),
        ({}, "app.logs.to"),
        ({"to": TO, "tag": "two words"}, "app.logs.tag"),
        ({"to": TO, "tag": "x" * 49}, "app.logs.tag"),
        ({"to": TO, "driver": "json-file"}, "app.logs.driver"),
        ("syslog", "app.logs"),
    ],
)
def test_what_is_no_receiver_is_refused_by_its_field(tenant: Tenant, logs: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        app(tenant, logs)
    assert refused.value.field == field


def test_the_node_is_told_and_a_change_needs_no_restart(tenant: Tenant) -> None:
    row = app(tenant, {"to": TO, "tag": "shop"})
    spec = spec_of(row)
    assert spec.app is not None
    assert spec.app.logs is not None
    assert (spec.app.logs.to, spec.app.logs.tag) == (TO, "shop")
    actor = factories.administrator()
    changed = environments.update_environment(actor, row.pk, {"app": {"logs": {"to": "loki+http://10.0.0.9"}}})
    assert changed.operation is not None
    assert changed.environment.boots == row.boots
    ended = environments.update_environment(actor, row.pk, {"app": {"logs": None}})
    assert ended.environment.boots == row.boots
    assert ended.environment.intent["app"]["logs"] is None


def test_what_came_of_it_is_shown(tenant: Tenant) -> None:
    row = app(tenant, {"to": TO})
    client = Client()
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")

    def shown() -> Any:
        headers = factories.bearer(factories.administrator(), None, "*")
        return json.loads(client.get(f"/api/v1/environments/{row.pk}", headers=headers).content)["logs"]

    def told(state: LogsState, **more: Any) -> None:
        logs = LogsSeen(state=state, since=datetime.now(UTC), **more)
        digest = "sha256:" + "ab" * 32
        factories.reported(row, app=AppSeen(image="r.example.com/a:1", digest=digest, logs=logs))

    assert shown() is None
    told(LogsState.FAILING, message=shipping.refused("10.0.0.9", 500, "<b>no</b>"), lost_bytes=2048)
    found = shown()
    assert (found["state"], found["lost_bytes"]) == ("failing", 2048)
    assert found["message"] == "10.0.0.9 answered 500: <b>no</b>"
    text = client.get(reverse("environment", args=[row.pk])).content.decode()
    assert TO in text
    assert "answered 500" in text
    assert "2 KiB went unsent" in text.replace("2.0 KiB", "2 KiB")
    assert "<b>no</b>" not in text
    told(LogsState.SENT)
    assert (shown()["state"], shown()["message"]) == ("sent", "")
