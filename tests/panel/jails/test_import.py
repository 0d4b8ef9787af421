"""A jail.conf becomes jails, all or none; they are listed as jls(8) lists them."""

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.jails.models import JailNumber
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, Kind
from tests.panel.support import described, factories

pytestmark = pytest.mark.django_db
_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
_CONF = (
    "allow.raw_sockets;\nweb { depend = db; exec.start = '/bin/httpd -f'; }\ndb { exec.poststop = 'true'; }\n"
)


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.JAIL))
    return factories.tenant(quota={"environments": 3})


def _body(tenant: Tenant, **more: object) -> dict[str, object]:
    return {
        "tenant": tenant.slug,
        "conf": _CONF,
        "image": "busybox",
        "limits": factories.LIMITS,
        "leave_out": True,
        **more,
    }


def _client(tenant: Tenant) -> Client:
    return Client(headers=factories.bearer(factories.member(tenant), tenant, role="owner"))


def test_freebsd_jail_conf_is_looked_at_first_and_made_then(tenant: Tenant) -> None:
    client = _client(tenant)
    seen = client.post("/api/v1/jails/import?preview=true", _body(tenant), content_type="application/json")
    assert seen.status_code == 200, seen.content
    assert [one["name"] for one in seen.json()["jails"]] == ["web", "db"]
    assert not Environment.objects.exists() and not JailNumber.objects.exists()

    made = client.post("/api/v1/jails/import", _body(tenant), content_type="application/json")
    assert made.status_code == 202, made.content
    described.check("jails_import", made.json())
    web, db = made.json()["jails"]
    assert [one["parameter"] for one in db["left_out"]] == ["exec.poststop"]
    assert web["root_password"] and web["root_password"] != db["root_password"]
    row = Environment.objects.get(name="web")
    assert row.wanted.jail is not None and row.wanted.jail.command == ("/bin/httpd", "-f")
    assert row.wanted.jail.allow == ("raw_sockets",)
    assert Environment.objects.get(name="db").wanted.boot.order == 1


def test_without_leave_the_file_is_refused_by_line_and_nothing_is_made(tenant: Tenant) -> None:
    body = _body(tenant, leave_out=False)
    answer = _client(tenant).post("/api/v1/jails/import", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_jail_conf")
    assert answer.json()["errors"] == [
        {"field": "conf", "message": "line 3: exec.poststop: nothing of a tenant's runs on the host"}
    ]
    assert not Environment.objects.exists()


@pytest.mark.parametrize("preview", ["true", "false"])
def test_the_quota_refuses_all_of_it(tenant: Tenant, preview: str) -> None:
    conf = "".join(f"j{n} {{ }}\n" for n in range(4))
    body, client = _body(tenant, conf=conf), _client(tenant)
    answer = client.post(f"/api/v1/jails/import?preview={preview}", body, content_type="application/json")
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("line 4: j3:")
    assert not Environment.objects.exists()


def test_freebsd_jail_jls_lists_them_by_number(tenant: Tenant) -> None:
    client = _client(tenant)
    first = factories.environment(tenant, kind="jail", name="b", jail={"allow": ["mlock"]})
    second = factories.environment(tenant, kind="jail", name="a")
    factories.environment(tenant, name="no-jail")
    answer = client.get("/api/v1/jails").json()
    described.check("jails_list", answer)
    assert [(one["jid"], one["name"]) for one in answer["items"]] == [(1, "b"), (2, "a")]
    shown = answer["items"][0]
    assert (shown["allow"], shown["securelevel"], shown["dying"]) == (["mlock"], 3, False)
    assert shown["ipv4_addrs"] and all("." in one for one in shown["ipv4_addrs"])
    assert client.get("/api/v1/jails?name=a").json()["count"] == 1

    environments.delete_environment(factories.administrator(), first.pk, now=True)
    factories.gone(first)
    third = factories.environment(tenant, kind="jail", name="c")
    assert third.jail_number.number == 3, "a number isn't given anew while a later one is there"
    assert second.jail_number.number == 2


def test_numbers_are_counted_in_each_tenant_and_strangers_see_none(tenant: Tenant) -> None:
    factories.environment(tenant, kind="jail")
    other = factories.tenant()
    assert factories.environment(other, kind="jail").jail_number.number == 1
    assert _client(other).get("/api/v1/jails").json()["count"] == 1
    body = _body(tenant)
    assert _client(other).post("/api/v1/jails/import", body, content_type="application/json").status_code in (
        403,
        404,
        422,
    )


def test_the_page_shows_a_preview_then_makes_them_and_shows_passwords_once(
    client: Client, tenant: Tenant
) -> None:
    client.force_login(factories.member(tenant).user, _BACKEND)
    form = {"tenant": str(tenant.pk), "conf": _CONF, "image": "", "base": "empty", "ssh_keys": ""}
    refused = client.post("/jails/", form)
    text = refused.content.decode()
    assert refused.status_code == 422
    assert "Line 3" in text and "exec.poststop" in text
    seen = client.post("/jails/", {**form, "preview": "1"})
    text = seen.content.decode()
    assert seen.status_code == 200 and "What would be made" in text and "/bin/httpd -f" in text
    assert not Environment.objects.exists()
    made = client.post("/jails/", {**form, "leaves_out": "on"}, follow=True)
    text = made.content.decode()
    assert made.status_code == 200 and "2 jails are being made" in text and "web: " in text
    assert "web: " not in client.get("/jails/").content.decode()
    assert Environment.objects.get(name="db").desired_state == DesiredState.STOPPED
