"""F23: support access is seen by the tenant, marked, without secrets, and over by itself or by the tenant."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from panel.access.models import SupportAccess
from panel.accounts.models import Token, User
from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.errors import Forbidden
from panel.people.support import enter
from panel.rights.actor import Actor
from panel.rights.permissions import SUPPORT, Permission
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


# over the API --------------------------------------------------------------------------------------


@pytest.fixture
def by_token() -> tuple[Client, Client, Client, Environment, Environment]:
    """The administrator's wide token, the one of his support access, the owner's, and two environments."""
    factories.node()
    tenant = factories.tenant()
    row, other = factories.environment(tenant), factories.environment(factories.tenant())
    wide = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    owner = Client(headers=factories.bearer(factories.member(tenant), tenant, role="owner"))
    body = {"reason": _REASON, "minutes": 30}
    answer = wide.post(f"/api/v1/tenants/{tenant.pk}/support", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    inside = Client(headers={"Authorization": f"Bearer {answer.json()['token']}"})
    return wide, inside, owner, row, other


ByToken = tuple[Client, Client, Client, Environment, Environment]


def test_over_the_api_both_sides_see_it(by_token: ByToken) -> None:
    wide, inside, owner, row, _ = by_token
    access = SupportAccess.objects.get()
    for client, path in (
        (owner, f"/tenants/{row.tenant_id}/support"),
        (owner, "/support"),
        (wide, "/support?mine=true&running=true"),
        (inside, "/support"),
    ):
        [seen] = client.get(f"/api/v1{path}").json()["items"]
        assert (seen["id"], seen["reason"], seen["is_running"]) == (str(access.pk), _REASON, True), path
        assert seen["who"] == access.user.username
        assert "token" not in seen
    assert wide.get("/api/v1/support?running=false").json()["items"] == []
    colleague = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    body = {"reason": "another ticket", "minutes": 5}
    path = f"/api/v1/tenants/{row.tenant_id}/support"
    assert colleague.post(path, body, content_type="application/json").status_code == 201
    assert wide.get("/api/v1/support").json()["count"] == 2
    [own] = wide.get("/api/v1/support?mine=true").json()["items"]
    assert own["id"] == str(access.pk)
    stranger = factories.member(factories.tenant())
    assert signed_in(stranger).get("/api/v1/support").json()["items"] == []
    assert _REASON not in signed_in(stranger).get("/support/").content.decode()
    assert _REASON in signed_in(factories.administrator()).get("/support/").content.decode()


def test_what_its_token_does_is_marked_and_no_more_than_on_pages(by_token: ByToken) -> None:
    wide, inside, _, row, other = by_token
    url = f"/api/v1/environments/{row.pk}"
    assert inside.post(f"{url}/stop", content_type="application/json").status_code == 202
    mark = AuditRecord.objects.get(chain=row.tenant_id, action="environment.stop")
    assert (mark.support_id, mark.token_id) == (
        SupportAccess.objects.get().pk,
        Token.objects.get(support__isnull=False).pk,
    )
    assert inside.get(f"/api/v1/environments/{other.pk}").status_code == 404
    for path, body in (("exec", {"command": ["id"]}), ("credentials", {"ssh_keys": []}), ("reinstall", {})):
        assert inside.post(f"{url}/{path}", body, content_type="application/json").status_code == 403, path
    assert inside.delete(url).status_code == 403
    assert inside.get(f"{url}/console/log").status_code == 403
    assert inside.get("/api/v1/nodes").status_code in (403, 404)
    body = {"tenant": str(row.tenant_id), "permissions": ["environment.view"]}
    assert inside.post("/api/v1/tokens", body, content_type="application/json").status_code == 403
    again = {"reason": "longer than it was meant", "minutes": 480}
    path = f"/api/v1/tenants/{row.tenant_id}/support"
    assert inside.post(path, again, content_type="application/json").status_code == 403, "not from within one"
    assert wide.post(f"{url}/start", content_type="application/json").status_code == 202
    assert AuditRecord.objects.get(chain=row.tenant_id, action="environment.start").support_id is None, (
        "his own"
    )


def test_its_token_ends_with_it(by_token: ByToken) -> None:
    wide, inside, owner, row, _ = by_token
    access = SupportAccess.objects.get()
    with time_machine.travel(access.ends_at - timedelta(minutes=1), tick=True):
        assert inside.get("/api/v1/environments").status_code == 200
    assert Token.objects.get(support=access).expires_at == access.ends_at
    with time_machine.travel(access.ends_at + timedelta(seconds=1), tick=True):
        assert inside.get("/api/v1/environments").status_code == 401
        [seen] = owner.get("/api/v1/support").json()["items"]
        assert seen["is_running"] is False
    assert inside.get("/api/v1/environments").status_code == 200
    User.objects.filter(pk=access.user_id).update(is_superuser=False)
    assert inside.get("/api/v1/environments").status_code == 401, "no administrator any more"
    User.objects.filter(pk=access.user_id).update(is_superuser=True)
    assert owner.delete(f"/api/v1/tenants/{row.tenant_id}/support/{access.pk}").status_code == 204
    assert inside.get("/api/v1/environments").status_code == 401, "ended by the tenant"
    assert wide.get("/api/v1/environments").status_code == 200


def test_who_enters_again_has_left_before(by_token: ByToken) -> None:
    wide, inside, _, row, _ = by_token
    path = f"/api/v1/tenants/{row.tenant_id}/support"
    body = {"reason": "the same ticket again", "minutes": 30}
    assert wide.post(path, body, content_type="application/json").status_code == 201
    assert SupportAccess.objects.running().get().reason == "the same ticket again"
    assert inside.get("/api/v1/environments").status_code == 401


def test_its_token_ends_with_the_one_that_opened_it(by_token: ByToken) -> None:
    wide, inside, _, _, _ = by_token
    opener = Token.objects.get(support=None, user__is_superuser=True)
    assert wide.delete(f"/api/v1/tokens/{opener.pk}").status_code == 204
    assert inside.get("/api/v1/environments").status_code == 401


def test_only_an_unbounded_token_of_an_administrator_enters() -> None:
    tenant = factories.tenant()
    administrator = factories.administrator()
    body = {"reason": _REASON, "minutes": 30}
    path = f"/api/v1/tenants/{tenant.pk}/support"
    for headers in (
        factories.bearer(factories.member(tenant), tenant, role="owner"),
        factories.bearer(administrator, tenant, role="owner"),
        factories.bearer(administrator, None, "tenant.view"),
    ):
        answer = Client(headers=headers).post(path, body, content_type="application/json")
        assert answer.status_code == 403
    for token in Token.objects.filter(user=administrator.user):
        with pytest.raises(Forbidden):
            enter(Actor(administrator.user, token), tenant, reason=_REASON, minutes=30)
    wide = Client(headers=factories.bearer(administrator, None, "*"))
    for wrong in ({"reason": "why", "minutes": 30}, {"reason": _REASON, "minutes": 481}):
        assert wide.post(path, wrong, content_type="application/json").status_code == 422
    assert not SupportAccess.objects.exists()


def test_it_looks_into_a_suspended_tenant_too(by_token: ByToken) -> None:
    wide, inside, owner, row, _ = by_token
    path = f"/api/v1/tenants/{row.tenant_id}/suspend"
    assert wide.post(path, {"reason": "unpaid"}, content_type="application/json").status_code == 200
    assert inside.get(f"/api/v1/environments/{row.pk}").status_code == 200
    assert owner.get(f"/api/v1/environments/{row.pk}").status_code == 403
