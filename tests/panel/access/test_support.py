"""F23: support access is seen by the tenant, marked, without secrets, and over by itself or by the tenant."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from panel.access.models import SupportAccess
from panel.accounts.actor import Actor
from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.tenants.permissions import SUPPORT, Permission
from tests.panel.security.sockets import handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_REASON = "ticket 4711: it does not boot"


def signed_in(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def entered() -> tuple[Client, Client, Environment, Environment]:
    """The administrator's browser in the tenant's view, the owner's, an environment there and one elsewhere."""
    factories.node()
    tenant = factories.tenant()
    row, other = factories.environment(tenant), factories.environment(factories.tenant())
    administrator, owner = signed_in(factories.administrator()), signed_in(factories.member(tenant))
    answer = administrator.post(f"/tenants/{tenant.pk}/support", {"reason": _REASON, "minutes": 30})
    assert answer.status_code == 302
    return administrator, owner, row, other


def test_both_sides_see_who_when_and_why(entered: tuple[Client, Client, Environment, Environment]) -> None:
    administrator, owner, row, _ = entered
    assert _REASON in administrator.get("/environments/").content.decode()
    assert "Leave it" in administrator.get("/environments/").content.decode()
    text = owner.get("/environments/").content.decode()
    assert _REASON in text
    assert SupportAccess.objects.get().user.username in text
    assert _REASON in owner.get(f"/tenants/{row.tenant_id}/people/").content.decode()


def test_what_is_done_is_marked(entered: tuple[Client, Client, Environment, Environment]) -> None:
    administrator, _, row, _ = entered
    assert administrator.post(f"/environments/{row.pk}/power", {"action": "stop"}).status_code == 302
    record = AuditRecord.objects.get(chain=row.tenant_id, action="environment.stop")
    assert record.support_id == SupportAccess.objects.get().pk


def test_no_secret_and_nothing_elsewhere(entered: tuple[Client, Client, Environment, Environment]) -> None:
    administrator, _, row, other = entered
    assert administrator.get(f"/environments/{other.pk}/").status_code == 404
    assert administrator.get(f"/environments/{row.pk}/").status_code == 200
    assert administrator.get(f"/environments/{row.pk}/console").status_code == 403
    assert run(handshake, socket(f"/ws/environments/{row.pk}/console", administrator)) == 4401
    url = f"/api/v1/environments/{row.pk}"
    for path, body in (("exec", {"command": ["id"]}), ("credentials", {"ssh_keys": []}), ("reinstall", {})):
        answer = administrator.post(f"{url}/{path}", body, content_type="application/json")
        assert answer.status_code == 403, path
    assert administrator.get("/nodes/").status_code == 403
    body = {"tenant": str(row.tenant_id), "permissions": ["environment.view"]}
    assert administrator.post("/api/v1/tokens", body, content_type="application/json").status_code == 403
    secret = {Permission.ENVIRONMENT_CONSOLE, Permission.ENVIRONMENT_EXEC, Permission.ENVIRONMENT_CREDENTIALS}
    assert not SUPPORT & {*secret, Permission.TOKEN_MANAGE, Permission.MEMBER_MANAGE}


def test_it_ends_by_itself(entered: tuple[Client, Client, Environment, Environment]) -> None:
    administrator, owner, _, other = entered
    with time_machine.travel(timezone.now() + timedelta(minutes=29), tick=True):
        administrator.get("/environments/")
        owner.get("/environments/")
    with time_machine.travel(timezone.now() + timedelta(minutes=31), tick=True):
        assert _REASON not in owner.get("/environments/").content.decode()
        assert administrator.get(f"/environments/{other.pk}/").status_code == 200, "his own view again"


def test_the_tenant_can_end_it(entered: tuple[Client, Client, Environment, Environment]) -> None:
    administrator, owner, row, _ = entered
    access = SupportAccess.objects.get()
    assert owner.post(f"/support/{access.pk}/end").status_code == 302
    access.refresh_from_db()
    assert not access.is_running()
    assert "Leave it" not in administrator.get("/environments/").content.decode()
    assert AuditRecord.objects.filter(chain=row.tenant_id, action="support.end").exists()


@pytest.mark.parametrize(("reason", "minutes"), [("", 30), ("why", 30), (_REASON, 481), (_REASON, 1)])
def test_it_needs_a_reason_and_an_end(reason: str, minutes: int) -> None:
    tenant = factories.tenant()
    client = signed_in(factories.administrator())
    answer = client.post(f"/tenants/{tenant.pk}/support", {"reason": reason, "minutes": minutes})
    assert answer.status_code == 422
    assert not SupportAccess.objects.exists()


def test_the_audit_is_filtered_by_it(entered: tuple[Client, Client, Environment, Environment]) -> None:
    administrator, owner, row, _ = entered
    administrator.post(f"/environments/{row.pk}/power", {"action": "stop"})
    for word in ("1", "on"):
        found = owner.get(f"/api/v1/audit?support={word}").json()["items"]
        assert [one["action"] for one in found] == ["environment.stop", "support.enter"]
        page = owner.get(f"/audit/?support={word}").content.decode()
        assert "environment.stop" in page and "environment.create" not in page
    assert owner.get("/api/v1/audit?support=maybe").status_code == 422
