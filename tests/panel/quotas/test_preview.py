"""What a new quota would mean, told before it is made."""

from typing import Any

import pytest
from django.test import Client

from panel.quotas.models import Quota
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def ask(client: Client, tenant: Any, quota: dict[str, Any]) -> dict[str, Any]:
    headers = factories.bearer(factories.administrator(), None, "*")
    path = f"/api/v1/tenants/{tenant.pk}/quota/preview"
    answer = client.post(path, {"quota": quota}, content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_the_newest_that_would_not_fit_are_named(client: Client) -> None:
    factories.node()
    top = factories.tenant()
    below = factories.tenant(parent=top)
    factories.environment(top, name="oldest")
    for name in ("second", "third"):
        factories.environment(below, name=name)
    told = ask(client, top, {"memory_mb": 100})
    assert told["sentences"] == [
        "2 environments would not fit: third, second. They keep what they have; nothing new fits."
    ]
    assert told["is_allowed"] and told["environments_count"] == 2
    assert told["resources"]["memory_mb"] == {
        "limit": None, "new_limit": 100, "reserved": 192, "used": 0, "over": 92,
    }  # fmt: skip
    assert Quota.objects.get(tenant=top, resource="memory_mb").limit is None, "nothing was changed"


def test_what_fits_is_said_to_fit(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    factories.environment(tenant)
    assert ask(client, tenant, {"memory_mb": 64, "cpu": 0.5})["sentences"] == ["Everything that is there fits."]


def test_a_tenant_above_without_room_is_told(client: Client) -> None:
    top = factories.tenant(quota={"cpu": 4})
    child = factories.tenant(parent=top, quota={"cpu": 1})
    told = ask(client, child, {"cpu": 6})
    assert not told["is_allowed"]
    assert told["refusal"] == "The tenant above has 3 of vCPU left, and 5 more are asked for."


def test_only_who_may_change_it_sees_it(client: Client) -> None:
    tenant = factories.tenant()
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    answer = client.post(
        f"/api/v1/tenants/{tenant.pk}/quota/preview",
        {"quota": {"cpu": 1}},
        content_type="application/json",
        headers=headers,
    )
    assert answer.status_code == 403
