"""F11: a second factor is used once, can't be guessed, can be asked for, and is never gone around."""

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from panel.accounts import factors_at_rest
from panel.accounts.models import User
from panel.accounts.policy import set_policy
from panel.audit.models import AuditRecord
from panel.tenancy.services import update_tenant
from tests.panel.security.sockets import handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

#: RFC 6238's secret is base32 text.
_SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture
def user() -> User:
    """With an authenticator app and recovery codes."""
    made = factories.person(password=factories.PASSWORD)
    totp.TOTP.activate(made, _SECRET)
    RecoveryCodes.activate(made)
    return made


def code_now() -> str:
    return str(
        totp.format_hotp_value(totp.hotp_value(_SECRET, next(iter(totp.yield_hotp_counters_from_time()))))
    )


def after_password(user: User) -> Client:
    client = Client()
    answer = client.post("/accounts/login/", {"login": user.username, "password": factories.PASSWORD})
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    return client


def is_in(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def enter(client: Client, code: str) -> int:
    return client.post("/accounts/2fa/authenticate/", {"code": code}).status_code


def test_the_database_alone_gives_no_code(user: User) -> None:
    kept = {row.type: row.data for row in Authenticator.objects.filter(user=user)}
    assert _SECRET not in str(kept)
    assert kept["totp"]["secret"].startswith(factors_at_rest.MARK)
    assert kept["recovery_codes"]["seed"].startswith(factors_at_rest.MARK)


def test_what_an_older_version_kept_plain_works_and_is_encrypted_by_the_next_start(user: User) -> None:
    row = Authenticator.objects.get(user=user, type="totp")
    row.data["secret"] = _SECRET
    row.save()
    call_command("prepare", keep_static=True)
    row.refresh_from_db()
    assert row.data["secret"].startswith(factors_at_rest.MARK)
    client = after_password(user)
    enter(client, code_now())
    assert is_in(client)


def test_a_password_alone_opens_nothing(user: User) -> None:
    client = after_password(user)
    assert not is_in(client)
    assert client.get("/api/v1/environments").status_code == 401
    assert run(handshake, socket("/ws/events", client)) == 4401


def test_a_code_counts_once(user: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        code = code_now()
        first, second = after_password(user), after_password(user)
        assert enter(first, code) == 302
        assert is_in(first)
        enter(second, code)
        assert not is_in(second), "the same code again, within its 30 seconds"


def test_a_recovery_code_counts_once(user: User) -> None:
    code = Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()[0]
    first, second = after_password(user), after_password(user)
    enter(first, code)
    assert is_in(first)
    enter(second, code)
    assert not is_in(second)


def test_codes_can_t_be_guessed(user: User) -> None:
    client = after_password(user)
    statuses = {enter(client, f"{number:06d}") for number in range(30)}
    assert not is_in(client)
    enter(client, code_now())
    assert 429 in statuses or not is_in(client), "the right one comes too late"


def test_a_new_password_by_mail_asks_for_it_too(user: User) -> None:
    client = Client()
    client.post("/accounts/password/reset/", {"email": user.email})
    link = next(word for word in mail.outbox[0].body.split() if "/password/reset/key/" in word)
    form = client.get(link.removeprefix("http://testserver"), follow=True).redirect_chain[-1][0]
    new = "another-long-and-odd-one"
    assert client.post(form, {"password1": new, "password2": new}).status_code == 302
    assert not is_in(client)
    answer = client.post("/accounts/login/", {"login": user.username, "password": new})
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert not is_in(client)


def test_the_installation_can_ask_for_one() -> None:
    tenant = factories.tenant()
    owner = factories.member(tenant)
    headers = factories.bearer(owner, tenant, role="viewer")
    client = Client()
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    set_policy(factories.administrator(), requires_mfa=True)
    assert client.get("/environments/")["Location"] == "/accounts/2fa/"
    assert client.get("/accounts/2fa/").status_code == 200
    answer = client.get("/api/v1/environments")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_needed")
    assert Client(headers=headers).get("/api/v1/environments").status_code == 403, "nor by a token"
    assert run(handshake, socket("/ws/events", client)) == 4401
    totp.TOTP.activate(owner.user, _SECRET)
    assert client.get("/environments/").status_code == 200
    assert Client(headers=headers).get("/api/v1/environments").status_code == 200


def test_it_is_asked_for_over_the_api_too() -> None:
    administrator = factories.administrator()
    totp.TOTP.activate(administrator.user, _SECRET)
    client = Client(headers=factories.bearer(administrator, None, "*"))
    path, of = "/api/v1/sign-in-policy", factories.tenant()
    owner = Client(headers=factories.bearer(factories.member(of), of, role="owner"))
    assert client.get(path).json()["requires_mfa"] is False
    assert owner.patch(path, {"requires_mfa": True}, content_type="application/json").status_code == 403
    answer = client.patch(path, {"requires_mfa": True}, content_type="application/json")
    assert answer.json()["requires_mfa"] is True
    assert answer.json()["people_without_second_factor"] >= 1
    record = AuditRecord.objects.get(action="signin.policy")
    assert (record.before, record.after) == ({"requires_mfa": False}, {"requires_mfa": True})
    assert owner.get("/api/v1/environments").json()["code"] == "second_factor_needed"
    assert client.patch(path, {"requires_mfa": "perhaps"}, content_type="application/json").status_code == 422


def test_a_tenant_can_ask_its_members_and_those_below() -> None:
    top = factories.tenant()
    below, other = factories.tenant(parent=top), factories.tenant()
    update_tenant(factories.member(top), top.pk, requires_mfa=True)
    for of, wanted in ((top, 302), (below, 302), (other, 200)):
        client = Client()
        client.force_login(
            factories.member(of, "viewer").user, "allauth.account.auth_backends.AuthenticationBackend"
        )
        assert client.get("/environments/").status_code == wanted


def test_a_tenant_asks_over_the_api_too() -> None:
    tenant = factories.tenant()
    owner = factories.member(tenant)
    totp.TOTP.activate(owner.user, _SECRET)
    path, client = f"/api/v1/tenants/{tenant.pk}", Client(headers=factories.bearer(owner, tenant, role="owner"))
    viewer = Client(headers=factories.bearer(factories.member(tenant, "administrator"), tenant, role="viewer"))
    assert viewer.get(path).json()["requires_mfa"] is False
    assert viewer.patch(path, {"requires_mfa": True}, content_type="application/json").status_code == 403
    answer = client.patch(path, {"requires_mfa": True}, content_type="application/json")
    assert answer.json()["requires_mfa"] is True
    assert viewer.get(path).json()["code"] == "second_factor_needed"
    record = AuditRecord.objects.get(chain=tenant.pk, action="tenant.change")
    assert record.after == {"requires_mfa": True}
