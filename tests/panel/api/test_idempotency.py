"""R04: one key, one deed; for another body, person or tenant it is another key. Ten at once: tests/faults."""

from typing import Any

import pytest
from django.test import Client

from panel.environments import services
from panel.environments.models import Environment
from panel.errors import NodeAway
from panel.tenancy.lifecycle import resume_tenant, suspend_tenant
from panel.tenants.models import Membership
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def ask(headers: dict[str, str], body: dict[str, Any], key: str = "one") -> Any:
    sent = {**headers, "Idempotency-Key": key}
    return Client(headers=sent).post("/api/v1/environments", body, content_type="application/json")


def body_for(tenant: Any, name: str = "once") -> dict[str, Any]:
    return {"name": name, "image": "busybox", "limits": factories.LIMITS, "tenant": str(tenant.pk)}


def test_r04_the_same_again_gives_the_same_answer_and_no_second_one() -> None:
    factories.node()
    tenant = factories.tenant()
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    first, second = ask(headers, body_for(tenant)), ask(headers, body_for(tenant))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json(), "with the password that was shown once"
    assert second["Idempotent-Replayed"] == "true"
    assert Environment.objects.count() == 1


def test_r04_another_body_with_the_same_key_is_refused() -> None:
    factories.node()
    tenant = factories.tenant()
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    assert ask(headers, body_for(tenant)).status_code == 202
    other = ask(headers, body_for(tenant, "twice"))
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert Environment.objects.count() == 1


def test_r04_another_tenant_another_person_and_a_support_access_have_keys_of_their_own() -> None:
    factories.node()
    first, second = factories.tenant(), factories.tenant()
    owner = factories.member(first)
    Membership.objects.create(tenant=second, user=owner.user, role="owner")
    elsewhere = factories.tenant()
    stranger = factories.member(elsewhere)
    assert ask(factories.bearer(owner, first, role="owner"), body_for(first)).status_code == 202
    assert ask(factories.bearer(owner, second, role="owner"), body_for(second)).status_code == 202
    foreign = ask(factories.bearer(stranger, elsewhere, role="owner"), body_for(first))
    assert foreign.status_code == 404, "nothing of somebody else's answer"
    assert Environment.objects.count() == 2
    colleague = ask(factories.bearer(factories.member(first), first, role="owner"), body_for(first))
    assert (colleague.status_code, colleague.json()["code"]) == (409, "name_taken"), "he asked for himself"


def test_r04_what_was_refused_for_the_moment_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.node()
    tenant, administrator = factories.tenant(), factories.administrator()
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    suspend_tenant(administrator, tenant.pk)
    assert ask(headers, body_for(tenant)).status_code == 403
    resume_tenant(administrator, tenant.pk)

    def away(*_: Any, **__: Any) -> None:
        raise NodeAway("not now")

    with monkeypatch.context() as outage:
        outage.setattr(services, "create_environment", away)
        assert ask(headers, body_for(tenant)).status_code == 503
    assert ask(headers, body_for(tenant)).status_code == 202


def test_r04_a_support_access_is_told_nothing_of_what_its_administrator_was() -> None:
    """An answer may hold a password that was shown once."""
    factories.node()
    tenant, administrator = factories.tenant(), factories.administrator()
    own = factories.bearer(administrator, tenant, role="owner")
    assert ask(own, body_for(tenant)).status_code == 202
    wide = Client(headers=factories.bearer(administrator, None, "*"))
    body = {"reason": "looks into a failed create", "minutes": 5}
    entered = wide.post(f"/api/v1/tenants/{tenant.pk}/support", body, content_type="application/json")
    inside = {"Authorization": f"Bearer {entered.json()['token']}"}
    assert ask(inside, body_for(tenant)).status_code == 403
