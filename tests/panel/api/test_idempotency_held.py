"""R04: retries end well: of work that takes long or is cut off, from a lesser token, with odd keys."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from panel.accounts.models import Token, User
from panel.api import idempotency, key_rows
from panel.api.idempotency import once
from panel.api.key_rows import KEEPER, forget_old
from panel.api.models import IdempotencyRecord
from panel.environments.models import Environment
from panel.people.tokens import create_token
from panel.rights.actor import Actor
from panel.serving.later import Later
from panel.tenancy.lifecycle import suspend_tenant
from panel.tenants.models import Membership, Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_JSON = "application/json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves the machine's time since boot; the wall clock stays."""
    moved = [0.0]
    real = key_rows.since_boot_s
    monkeypatch.setattr(key_rows, "since_boot_s", lambda: real() + moved[0])
    monkeypatch.setattr(idempotency, "WAIT_S", 0.0)

    def forward(seconds: float) -> None:
        moved[0] += seconds

    return forward


def asked(actor: Actor, work: Any, key: str = "k", body: bytes = b"{}") -> HttpResponse:
    request = RequestFactory().post("/api/v1/x", body, content_type=_JSON)
    return once(request, key, actor, work)


def made() -> Actor:
    return Actor(factories.person())


def test_work_that_outlives_the_lease_is_done_once(clock: Any) -> None:
    """The holder says that he lives; the second one hears that he is at work."""
    actor, done, inner = made(), [], []

    def work() -> HttpResponse:
        done.append(1)
        for _ in range(5):
            clock(50)
            KEEPER.renew(older_than_s=0)
            inner.append(asked(actor, work))
        return HttpResponse(b"first", status=201)

    assert asked(actor, work).content == b"first"
    assert {one.status_code for one in inner} == {409}
    assert all(one["Retry-After"] == "1" for one in inner)
    assert len(done) == 1
    assert asked(actor, work).content == b"first"


def test_who_comes_back_from_the_dead_changes_nothing() -> None:
    """Stopped for longer than the lease, as with a sleeping machine: the next one has the row, he is undone."""
    actor = made()

    def first() -> HttpResponse:
        factories.person(username="first")
        IdempotencyRecord.objects.update(holder="the next one")
        return HttpResponse(b"first", status=201)

    assert asked(actor, first).status_code == 409
    assert not User.objects.filter(username="first").exists()


@pytest.mark.parametrize("hours", [366 * 24, 1, -1, -366 * 24])
def test_the_wall_clock_lets_nobody_do_it_twice(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 0.0)
    actor, inner, jump = made(), [], timedelta(hours=hours)

    def work() -> HttpResponse:
        with time_machine.travel(timezone.now() + jump, tick=True):
            forget_old()
            inner.append(asked(actor, work).status_code)
        return HttpResponse(b"first", status=201)

    assert asked(actor, work).status_code == 201
    assert inner == [409]
    with time_machine.travel(timezone.now() + jump, tick=True):
        forget_old()
        assert asked(actor, work)["Idempotent-Replayed"] == "true"


def test_an_answer_is_kept_for_a_day(clock: Any) -> None:
    actor, count = made(), []

    def work() -> HttpResponse:
        count.append(1)
        return HttpResponse(b"x", status=201)

    asked(actor, work)
    clock(24 * 3600 - 5)
    assert forget_old() == 0
    assert asked(actor, work)["Idempotent-Replayed"] == "true"
    clock(10)
    assert forget_old() == 1
    asked(actor, work)
    clock(24 * 3600 + 5)
    asked(actor, work)
    assert len(count) == 3


def test_a_crash_leaves_what_was_done_with_its_answer_or_neither(clock: Any) -> None:
    """Killed after the deed and before its answer is stored: the deed is undone, and the retry does it."""
    actor = made()

    class Killed(BaseException):
        """Stands for the end of the process."""

    def dies() -> HttpResponse:
        with transaction.atomic():
            factories.person(username="once")
        raise Killed

    with pytest.raises(Killed):
        asked(actor, dies)
    assert not User.objects.filter(username="once").exists()
    assert asked(actor, lambda: HttpResponse(b"again", status=201)).content == b"again", "its key is free"


def test_a_dead_holders_key_is_free_after_the_lease(clock: Any) -> None:
    actor, row = made(), None
    row, mine = key_rows.take(idempotency._scope(actor), "k", "f", actor)
    assert mine is not None
    KEEPER.forget(mine)  # his process is gone
    request = RequestFactory().post("/api/v1/x", b"{}", content_type=_JSON)
    IdempotencyRecord.objects.update(fingerprint=idempotency._fingerprint(request))
    work = lambda: HttpResponse(b"done", status=201)  # noqa: E731
    assert asked(actor, work).status_code == 409
    clock(61)
    assert asked(actor, work).status_code == 201
    assert row.pk != IdempotencyRecord.objects.get().pk


class Promise(Later):
    """As a command that runs inside answers: its thread is given back, its end comes later."""

    def __init__(self) -> None:
        super().__init__(RequestFactory().get("/"), work=lambda: None, on_refused=lambda _: HttpResponse())  # type: ignore[arg-type,return-value]
        self.settle: Any = None

    def then(self, settle: Any) -> None:
        self.settle = settle


def test_what_began_outside_of_the_database_is_never_begun_twice(clock: Any) -> None:
    """A command ran when its panel died: nobody can say whether it did all, so it isn't run again unasked."""
    actor, promise = made(), Promise()
    asked(actor, lambda: promise)
    assert asked(actor, lambda: promise).status_code == 409
    clock(61)
    again = asked(actor, lambda: HttpResponse(b"twice"))
    assert again.status_code == 409
    assert b"outcome_unknown" in again.content
    promise.settle(HttpResponse(b"said"))
    assert asked(actor, lambda: HttpResponse(b"twice")).content == b"said"


@pytest.mark.parametrize("status", [400, 404, 409, 412, 422, 429, 500, 503])
def test_a_refusal_changed_nothing_and_is_not_kept(status: int) -> None:
    actor = made()
    assert asked(actor, lambda: HttpResponse(status=status)).status_code == status
    assert asked(actor, lambda: HttpResponse(b"now", status=201), body=b'{"mended": 1}').content == b"now"


def test_a_failure_leaves_nothing_behind() -> None:
    actor = made()

    def half() -> HttpResponse:
        factories.person(username="half")
        return HttpResponse(status=500)

    assert asked(actor, half).status_code == 500
    assert not User.objects.filter(username="half").exists()


# who may have the answer


def _tokens(tenant: Tenant, owner: Actor) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Of one person, for one tenant: an owner's, another like it, one that may only create and see."""
    narrow = ("tenant.view", "environment.view", "environment.create", "operation.view")
    return (
        factories.bearer(owner, tenant, role="owner"),
        factories.bearer(owner, tenant, role="owner"),
        factories.bearer(owner, tenant, *narrow),
    )


def post(headers: dict[str, str], url: str, body: dict[str, Any], key: str = "one") -> Any:
    return Client(headers={**headers, "Idempotency-Key": key}).post(url, body, content_type=_JSON)


def test_a_narrower_token_gets_no_answer_of_a_wider_one() -> None:
    """Its holder would have a token that may everything its person may."""
    tenant = factories.tenant()
    owner = factories.member(tenant)
    wide, rotated, narrow = _tokens(tenant, owner)
    body = {"tenant": str(tenant.pk), "role": "owner"}
    first = post(wide, "/api/v1/tokens", body)
    assert first.status_code == 201
    again = post(narrow, "/api/v1/tokens", body)
    assert again.status_code == 403
    assert first.json()["token"] not in again.content.decode()
    assert post(rotated, "/api/v1/tokens", body).json() == first.json(), "a token that took its place"
    assert Token.objects.filter(opened_by__isnull=False).count() == 1


def test_a_token_for_one_environment_gets_no_answer_of_all(row: Environment) -> None:
    owner = factories.member(row.tenant)
    wide = factories.bearer(owner, row.tenant, role="owner")
    _, text = create_token(owner, tenant=row.tenant, role="owner", environments=[str(row.pk)])
    url, body = f"/api/v1/environments/{row.pk}/credentials", {"root_password": ""}
    assert post(wide, url, body).json()["root_password"]
    assert post({"Authorization": f"Bearer {text}"}, url, body).status_code == 403
    again = post(wide, url, body)
    assert again.json()["root_password"]


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def test_rights_that_were_lost_meanwhile_give_no_answer(row: Environment) -> None:
    owner = factories.member(row.tenant)
    headers = factories.bearer(owner, row.tenant, role="owner")
    url, body = f"/api/v1/environments/{row.pk}/credentials", {"root_password": ""}
    assert post(headers, url, body).status_code == 202
    member = Membership.objects.filter(user=owner.user)
    member.update(role="viewer")
    assert post(headers, url, body).status_code == 403
    member.update(role="owner")
    assert post(headers, url, body).json()["root_password"]
    suspend_tenant(factories.administrator(), row.tenant_id)
    assert post(headers, url, body).json()["code"] == "tenant_suspended"


# keys


@pytest.mark.parametrize("key", ["", " ", '""', '"', '"a', "é", "a\tb", "x" * 256, '"a\\q"', "\x7f"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    answer = asked(made(), lambda: HttpResponse(status=201), key=key)
    assert answer.status_code == 400
    assert b"Idempotency-Key" in answer.content


def test_an_empty_header_is_no_missing_one() -> None:
    tenant = factories.tenant()
    headers = factories.bearer(factories.member(tenant), tenant, role="owner")
    body = {"tenant": str(tenant.pk), "role": "viewer"}
    before = Token.objects.count()
    assert post(headers, "/api/v1/tokens", body, key="").status_code == 400
    assert Token.objects.count() == before


def test_quotes_of_the_draft_are_no_part_of_the_key() -> None:
    actor = made()
    asked(actor, lambda: HttpResponse(b"x", status=201), key='"8e03978e"')
    again = asked(actor, lambda: HttpResponse(b"y", status=201), key="8e03978e")
    assert again.content == b"x"
    for good in ("x" * 255, "order 7, second try", "a;b=c", "!"):
        assert asked(actor, lambda: HttpResponse(b"x", status=201), key=good).status_code == 201


def test_every_method_that_changes_may_be_repeated(row: Environment) -> None:
    """A PATCH with `If-Match` whose answer was lost would be told that somebody else was quicker."""
    owner = factories.member(row.tenant)
    headers = factories.bearer(owner, row.tenant, role="owner")
    sent = {**headers, "If-Match": str(row.version), "Idempotency-Key": "change"}
    url = f"/api/v1/environments/{row.pk}"
    first, again = (
        Client(headers=sent).patch(url, {"description": "new"}, content_type=_JSON) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (200, 200) or first.status_code == again.status_code == 202
    assert again.json() == first.json()
    gone = {**headers, "Idempotency-Key": "gone"}
    token, _ = create_token(owner, tenant=row.tenant, role="viewer")
    for _ in range(2):
        assert Client(headers=gone).delete(f"/api/v1/tokens/{token.pk}").status_code == 204


# archives


def test_all_of_an_archive_counts_not_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.node()
    headers = factories.bearer(factories.administrator(), None, "*")

    def send(body: bytes) -> Any:
        return Client(headers={**headers, "Idempotency-Key": "archive"}).generic(
            "POST", "/api/v1/images/archive?name=mine", body, content_type="application/octet-stream"
        )

    first = send(b"a" * 3000)
    assert first.status_code == 202
    again, other = send(b"a" * 3000), send(b"b" * 3000)
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert again.json()["archive"]["sha256"] == hashlib.sha256(b"a" * 3000).hexdigest()
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_octets_on_another_route_are_compared_whole() -> None:
    actor = made()
    requests = [
        RequestFactory().post("/api/v1/x", body, content_type="application/octet-stream")
        for body in (b"aaa", b"bbb", b"aaa")
    ]
    answers = [once(one, "k", actor, lambda: HttpResponse(b"x", status=201)) for one in requests]
    assert [one.status_code for one in answers] == [201, 422, 201]
