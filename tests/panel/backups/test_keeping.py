"""How long backups stay, and that the last one isn't lost by a slip."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from panel.backups.expiring import expire
from panel.backups.models import Backup, KeptBy, Reason, Target
from panel.backups.services import delete_backup, keep
from panel.backups.targets import add_target
from panel.environments.models import Environment
from panel.environments.services import delete_environment, update_environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.operations.models import Operation, OperationKind
from panel.rights.actor import Actor
from panel.storage.schedules import set_schedule
from runtime.contract import JobOutcome
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> Environment:
    factories.node()
    monkeypatch.setattr("panel.backups.locked.key_of", lambda _: b"shared with the node")
    return factories.environment(factories.tenant())


@pytest.fixture
def target(actor: Actor, row: Environment) -> Target:
    return add_target(actor, row.tenant, name="nightly")[0]


def _made(target: Target, row: Environment, **fields: object) -> Backup:
    values = {
        "tenant": row.tenant,
        "target": target,
        "environment": row,
        "of": row.pk,
        "of_name": row.name,
        "name": f"backup-{uuid4().hex[:6]}",
        "document": {"image": "busybox", "kind": "system"},
        "snapshot": uuid4().hex,
        "made_at": timezone.now(),
    }
    return Backup.objects.create(**{**values, **fields})


def test_each_says_until_when_and_outlives_its_environment(
    actor: Actor, row: Environment, target: Target
) -> None:
    until = timezone.now() + timedelta(days=9)
    by_date = _made(target, row, kept_until=until)
    by_hand, by_schedule = _made(target, row), _made(target, row, reason=Reason.SCHEDULE)
    set_schedule(actor, row.pk, cron="0 4 * * *", takes="backups", target=str(target.pk))
    both = Backup.objects.with_schedule().in_bulk()
    told = {pk: one.kept_by for pk, one in both.items()}
    assert told == {by_date.pk: KeptBy.DATE, by_hand.pk: KeptBy.HAND, by_schedule.pk: KeptBy.SCHEDULE}
    assert {pk: Backup.objects.get(pk=pk).kept_by for pk in told} == told
    delete_environment(actor, row.pk, now=True)
    factories.gone(row)
    assert {one.kept_by for one in Backup.objects.with_schedule()} == {KeptBy.DATE, KeptBy.HAND}
    assert Backup.objects.count() == 3


def test_when_its_time_is_over_it_goes_and_a_refusal_is_tried_again_an_hour_later(
    row: Environment, target: Target
) -> None:
    over = timezone.now() - timedelta(minutes=1)
    old, older, stays = (
        _made(target, row, kept_until=over),
        _made(target, row, kept_until=over),
        _made(target, row),
    )
    assert expire(timezone.now()) == 2
    (operation,) = Operation.objects.filter(kind=OperationKind.DELETE_BACKUP)
    assert expire(timezone.now()) == 0
    factories.job_reported(operation, JobOutcome.FAILED, code="target_gone", message="it isn't there")
    assert expire(timezone.now()) == 0  # not each half minute
    later = timezone.now() + timedelta(hours=2)
    assert expire(later) == 2
    factories.job_reported(Operation.objects.latest("created_at"), JobOutcome.SUCCEEDED)
    assert list(Backup.objects.all()) == [stays]
    assert {old.pk, older.pk}.isdisjoint(Backup.objects.values_list("pk", flat=True))


def test_the_last_one_of_a_protected_environment_stays(actor: Actor, row: Environment, target: Target) -> None:
    over = timezone.now() - timedelta(minutes=1)
    first, last = _made(target, row, kept_until=over), _made(target, row, kept_until=over)
    update_environment(actor, row.pk, {"protected": True})
    delete_backup(actor, first.pk)
    with pytest.raises(Conflict) as refused:
        delete_backup(actor, last.pk)
    assert refused.value.code == "protected"
    assert expire(timezone.now() + timedelta(hours=2)) == 0
    update_environment(actor, row.pk, {"protected": False})
    assert expire(timezone.now() + timedelta(hours=2)) == 1


@pytest.mark.parametrize("days", [-1, 3651])
def test_a_time_that_makes_no_sense_is_refused(
    actor: Actor, row: Environment, target: Target, days: int
) -> None:
    made = _made(target, row)
    with pytest.raises(Invalid) as refused:
        keep(actor, made.pk, timezone.now() + timedelta(days=days))
    assert refused.value.field == "kept_until"
    with pytest.raises(Invalid):
        keep(actor, made.pk, timezone.now().replace(tzinfo=None) + timedelta(days=3))


def test_who_may_not_keeps_nothing(row: Environment, target: Target) -> None:
    made = _made(target, row)
    with pytest.raises(Forbidden):
        keep(factories.member(row.tenant, "viewer"), made.pk, None)
    with pytest.raises(NotFound):
        keep(factories.member(factories.tenant()), made.pk, None)


def test_by_the_api(client: Client, actor: Actor, row: Environment, target: Target) -> None:
    sent = factories.bearer(actor, None, role="owner")
    at = f"/api/v1/environments/{row.pk}/backups"

    def ask(method: str, path: str, body: object) -> tuple[int, dict[str, object]]:
        answer = client.generic(method, path, json.dumps(body), "application/json", headers=sent)
        return answer.status_code, answer.json()

    assert ask("POST", at, {"target": "nightly", "keep_days": 0})[0] == 422
    status, made = ask("POST", at, {"target": "nightly", "keep_days": 30})
    assert (status, made["kept_by"]) == (202, "date")
    one = _made(target, row)
    until = (timezone.now() + timedelta(days=3)).isoformat()
    for value, by in ((until, "date"), (None, "hand")):
        status, told = ask("PATCH", f"/api/v1/backups/{one.pk}", {"kept_until": value})
        assert status == 200, told
        assert (told["kept_until"], told["kept_by"]) == (value, by)
    for bad in (
        {},
        {"kept_until": "soon"},
        {"kept_until": "2001-01-01T00:00:00Z"},
        {"kept_until": "2030-01-01T00:00"},
    ):
        assert ask("PATCH", f"/api/v1/backups/{one.pk}", bad)[0] == 422


def test_the_page_asks_for_the_name_before_the_last_one_goes(
    client: Client, actor: Actor, row: Environment, target: Target
) -> None:
    client.force_login(actor.user)
    first, last = _made(target, row), _made(target, row)
    assert client.post(f"/backups/{first.pk}/delete").status_code == 302
    for typed in ("", "another"):
        answer = client.post(f"/backups/{last.pk}/delete", {"typed_name": typed})
        assert answer.status_code == 422
        assert f"type {row.name}" in answer.content.decode()
    assert not Backup.objects.get(pk=last.pk).is_going
    assert client.post(f"/backups/{last.pk}/keep", {"keep_days": "0"}).status_code == 422
    assert client.post(f"/backups/{last.pk}/keep", {"keep_days": "5"}).status_code == 302
    assert "Kept until" in client.get(f"/environments/{row.pk}/backups").content.decode()
    assert client.post(f"/backups/{last.pk}/delete", {"typed_name": row.name}).status_code == 302
    assert Backup.objects.get(pk=last.pk).is_going
