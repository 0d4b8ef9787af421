"""Stages in the panel: what is promoted, what a rollout waits for, and what takes it back."""

import time
from datetime import timedelta
from uuid import UUID

import pytest
from django.core.cache import cache
from django.test import Client

from panel.domains.models import DomainTarget
from panel.domains.services import add_domain
from panel.environments.models import Environment
from panel.environments.states import State
from panel.errors import Conflict, Forbidden, Invalid, NodeAway, NotFound
from panel.nodes.agent import Agent
from panel.operations.control import cancel
from panel.operations.models import Operation, OperationState
from panel.rights.actor import Actor
from panel.stages import rolling, services, tasks
from panel.stages.models import Phase, Rollout, RolloutState, Stage
from panel.stages.tasks import go_on, stages
from panel.tenants.models import Tenant
from runtime.contract import AppSeen, Kind, ObservedState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

OLD, NEW = (f"docker.io/library/shop@sha256:{letter * 64}" for letter in "ab")


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


def _app(tenant: Tenant, image: str = OLD) -> Environment:
    """It runs this image."""
    row = factories.environment(tenant, kind="app", image=image)
    _runs(row)
    return row


def _runs(row: Environment, health: str | None = "healthy", *, digest: str = "", **more: object) -> None:
    """Its node says so. `digest`: what its tag led to."""
    row.refresh_from_db()
    digest = row.image.partition("@")[2] or digest
    seen = AppSeen.model_validate(
        {
            "image": row.image,
            "digest": digest,
            "health": None
            if health is None
            else {"state": health, "since": "2026-01-01T00:00:00Z", "output": ""},
        }
    )
    factories.reported(row, ObservedState.RUNNING, app=seen, **more)
    row.refresh_from_db()


def _stage(actor: Actor, tenant: Tenant, name: str, *copies: Environment, **options: object) -> Stage:
    return services.add_stage(actor, tenant, line="shop", name=name, environments=copies, drain_s=0, **options)


def _images(*rows: Environment) -> list[str]:
    for row in rows:
        row.refresh_from_db()
    return [row.image for row in rows]


def test_the_very_digest_goes_to_the_next_stage_one_copy_after_another(actor: Actor, tenant: Tenant) -> None:
    first, copies = _app(tenant, NEW), [_app(tenant), _app(tenant)]
    test, production = _stage(actor, tenant, "test", first), _stage(actor, tenant, "production", *copies)
    rollout = services.promote(actor, test.pk)
    go_on(rollout.pk)
    assert _images(*copies) == [NEW, OLD], "one after another"
    go_on(rollout.pk)
    assert _images(*copies) == [NEW, OLD], "the first isn't up yet"
    _runs(copies[0], "starting")
    go_on(rollout.pk)
    assert _images(*copies) == [NEW, OLD], "the first isn't healthy yet"
    _runs(copies[0])
    go_on(rollout.pk)
    assert _images(*copies) == [NEW, NEW]
    _runs(copies[1])
    go_on(rollout.pk)
    operation = Operation.objects.get(pk=rollout.operation_id)
    assert (operation.state, operation.kind) == (OperationState.SUCCEEDED, "promote")
    newest = production.versions.first()
    assert newest is not None
    assert (newest.number, newest.image, newest.came_from) == (2, NEW, "test")
    back = services.roll_back(actor, production.pk)
    for copy in copies:
        go_on(back.pk)
        _runs(copy)
    go_on(back.pk)
    assert _images(*copies) == [OLD, OLD]
    assert [one.number for one in production.versions.all()] == [1, 2, 1]
    with pytest.raises(Conflict):
        services.roll_back(actor, production.pk)


def test_a_tag_means_to_all_copies_and_ever_after_what_it_meant_to_the_first(
    actor: Actor, tenant: Tenant, client: Client
) -> None:
    copies = [_app(tenant), _app(tenant)]
    stage = _stage(actor, tenant, "production", *copies)
    tag, digests = "docker.io/library/shop:2", [f"sha256:{letter * 64}" for letter in "cd"]
    for image, digest in ((tag, digests[0]), (OLD, "")):
        rollout = services.deploy(actor, stage.pk, image)
        for copy in copies:
            go_on(rollout.pk)
            _runs(copy, digest=digest)
        go_on(rollout.pk)
    assert [one.image for one in stage.versions.all()] == [OLD, f"{tag}@{digests[0]}", OLD]
    back = services.roll_back(actor, stage.pk)
    for copy in copies:  # whatever the tag means by now
        go_on(back.pk)
        _runs(copy, digest=digests[1])
    go_on(back.pk)
    assert _images(*copies) == [f"{tag}@{digests[0]}"] * 2
    assert {rolling.running_image(copy) for copy in copies} == {f"docker.io/library/shop@{digests[0]}"}
    client.force_login(factories.member(tenant, "owner").user)
    text = client.get("/stages/").content.decode()
    assert '<span class="mono" translate="no">shop:2</span>' in text
    assert '<span class="mono" translate="no">cccccccccccc</span>' in text


def test_who_goes_back_does_not_come_to_what_was_gone_back_from(actor: Actor, tenant: Tenant) -> None:
    copy = _app(tenant)
    stage = _stage(actor, tenant, "production", copy)
    one, two, three, four = (f"docker.io/library/shop@sha256:{letter * 64}" for letter in "abcd")

    def rolled(image: str = "") -> str:
        go_on((services.deploy(actor, stage.pk, image) if image else services.roll_back(actor, stage.pk)).pk)
        _runs(copy)
        for pk in rolling.unfinished():
            go_on(pk)
        return _images(copy)[0]

    assert [rolled(two), rolled(), rolled(three), rolled()] == [two, one, three, one]
    assert [rolled(two), rolled(four), rolled(), rolled()] == [two, four, two, one]
    with pytest.raises(Conflict):
        services.roll_back(actor, stage.pk)


def test_a_copy_that_does_not_become_healthy_takes_all_back(actor: Actor, tenant: Tenant) -> None:
    copies = [_app(tenant), _app(tenant)]
    stage = _stage(actor, tenant, "production", *copies)
    rollout = services.deploy(actor, stage.pk, NEW)
    go_on(rollout.pk)
    _runs(copies[0])
    go_on(rollout.pk)
    _runs(copies[1], "unhealthy")
    go_on(rollout.pk)
    assert _images(*copies) == [NEW, OLD], "the one at hand first"
    _runs(copies[1])
    go_on(rollout.pk)
    _runs(copies[0])
    go_on(rollout.pk)
    assert _images(*copies) == [OLD, OLD]
    rollout.refresh_from_db()
    operation = Operation.objects.get(pk=rollout.operation_id)
    assert (rollout.state, operation.state) == (RolloutState.FAILED, OperationState.FAILED)
    assert copies[1].name in str(operation.message)
    assert [one.image for one in stage.versions.all()] == [OLD]


def test_a_copy_gets_no_request_while_it_is_replaced(actor: Actor, tenant: Tenant) -> None:
    copies = [_app(tenant), _app(tenant)]
    domain = add_domain(actor, tenant, name="shop.example.org", targets=[(one, 80) for one in copies])
    stage = _stage(actor, tenant, "production", *copies)

    def drained() -> list[bool]:
        return list(DomainTarget.objects.filter(domain=domain).values_list("is_drained", flat=True))

    Stage.objects.filter(pk=stage.pk).update(drain_s=60)
    rollout = services.deploy(actor, stage.pk, NEW)
    go_on(rollout.pk)
    assert (drained(), _images(*copies)) == ([True, False], [OLD, OLD]), "requests under way have their time"
    Rollout.objects.filter(pk=rollout.pk).update(phase_at=rollout.phase_at - timedelta(seconds=61))
    go_on(rollout.pk)
    assert (drained(), _images(*copies)) == ([True, False], [NEW, OLD])
    _runs(copies[0])
    go_on(rollout.pk)
    assert drained() == [False, True]


def test_checks_between(actor: Actor, tenant: Tenant) -> None:
    first, last = _app(tenant, NEW), _app(tenant)
    test = _stage(actor, tenant, "test", first, needs_yes=True)
    production = _stage(actor, tenant, "production", last)
    _runs(first, "unhealthy")
    refused = services.promote(actor, test.pk)
    go_on(refused.pk)
    assert Operation.objects.get(pk=refused.operation_id).state == OperationState.FAILED
    assert _images(last) == [OLD]
    _runs(first)
    rollout = services.promote(actor, test.pk)
    go_on(rollout.pk)
    rollout.refresh_from_db()
    assert (rollout.state, _images(last)) == (RolloutState.WAITING, [OLD])
    with pytest.raises(Conflict):
        services.deploy(actor, production.pk, NEW)
    services.approve(actor, production.pk)
    go_on(rollout.pk)
    rollout.refresh_from_db()
    assert (rollout.approved_by, _images(last)) == (actor.name, [NEW])


@pytest.mark.parametrize(("exit_code", "state"), [(0, OperationState.SUCCEEDED), (3, OperationState.FAILED)])
def test_a_command_decides(
    actor: Actor, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, exit_code: int, state: str
) -> None:
    first, last = _app(tenant, NEW), _app(tenant)
    test = _stage(actor, tenant, "test", first, command=["/app/smoke-test"])
    _stage(actor, tenant, "production", last)
    asked: list[object] = []

    async def execute(_agent: Agent, pk: UUID, command: list[str], **how: object) -> dict[str, object]:
        asked.append((pk, command, how["user"], how["tenant_id"]))
        if len(asked) == 1:  # its agent was killed
            raise NodeAway("it does not answer")
        return {"exit_code": exit_code, "stdout": "", "stderr": "no database\n"}

    monkeypatch.setattr(Agent, "execute", execute)
    rollout = services.promote(actor, test.pk)
    stages()
    rollout.refresh_from_db()
    assert rollout.state == RolloutState.CHECKING
    stages()
    assert asked == [(first.pk, ["/app/smoke-test"], actor.name, tenant.payer)] * 2
    if not exit_code:
        _runs(last)
        stages()
    operation = Operation.objects.get(pk=rollout.operation_id)
    assert operation.state == state
    assert exit_code == 0 or "no database" in str(operation.message)


def test_a_worker_that_dies_at_a_check_holds_it_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_HELD_S", 1)
    with tasks._alone("check") as is_mine:
        assert is_mine
        time.sleep(2.5)
        with tasks._alone("check") as is_others:
            assert not is_others, "however long it takes"
    with monkeypatch.context() as killed, tasks._alone("check") as is_mine:
        assert is_mine
        killed.setattr(cache, "delete", lambda _key: None)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with tasks._alone("check") as is_mine:
            if is_mine:
                return
        time.sleep(0.2)
    raise AssertionError("it holds it on")


def test_one_that_can_not_be_gone_on_with_holds_up_no_other(
    actor: Actor, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = _app(tenant), _app(tenant)
    stuck = services.deploy(actor, _stage(actor, tenant, "bad", bad).pk, NEW)
    services.deploy(actor, _stage(actor, tenant, "good", good).pk, NEW)
    step = rolling.step

    def breaks(pk: UUID) -> bool:
        if pk == stuck.pk:
            raise RuntimeError("broken")
        return step(pk)

    monkeypatch.setattr(rolling, "step", breaks)
    stages()
    assert _images(bad, good) == [OLD, NEW]


def test_one_that_is_cancelled_goes_back(actor: Actor, tenant: Tenant) -> None:
    copies = [_app(tenant), _app(tenant)]
    stage = _stage(actor, tenant, "production", *copies)
    rollout = services.deploy(actor, stage.pk, NEW)
    go_on(rollout.pk)
    _runs(copies[0])
    go_on(rollout.pk)
    cancel(actor, rollout.operation_id)
    go_on(rollout.pk)
    _runs(copies[1])
    go_on(rollout.pk)
    _runs(copies[0])
    go_on(rollout.pk)
    assert _images(*copies) == [OLD, OLD]
    assert Operation.objects.get(pk=rollout.operation_id).state == OperationState.CANCELLED


def test_a_worker_that_dies_between_loses_nothing(actor: Actor, tenant: Tenant) -> None:
    """Each step stands in the row: whoever takes it next goes on, and takes none twice."""
    copy = _app(tenant)
    stage = _stage(actor, tenant, "production", copy)
    rollout = services.deploy(actor, stage.pk, NEW)
    assert rolling.step(rollout.pk)
    assert rolling.step(rollout.pk)
    copy.refresh_from_db()
    generation = copy.generation
    for _again in range(3):
        assert not rolling.step(rollout.pk)
    copy.refresh_from_db()
    assert copy.generation == generation
    row = Rollout.objects.get(pk=rollout.pk)
    assert (row.phase, row.generation) == (Phase.SETTLE, generation)


def test_who_may_what_and_what_can_be_in_a_stage(actor: Actor, tenant: Tenant) -> None:
    app = _app(tenant)
    stage = _stage(actor, tenant, "test", app)
    operator, stranger = factories.member(tenant, "operator"), factories.member(factories.tenant(), "owner")
    with pytest.raises(Forbidden):
        services.promote(operator, stage.pk)
    with pytest.raises(NotFound):
        services.promote(stranger, stage.pk)
    with pytest.raises(Conflict):
        services.promote(actor, stage.pk)  # the last of its line
    with pytest.raises(Conflict):
        _stage(actor, tenant, "production", app)  # in a stage already
    with pytest.raises(Invalid):
        _stage(actor, tenant, "production", factories.environment(tenant))  # no app
    with pytest.raises(Invalid):
        _stage(actor, tenant, "production", _app(factories.tenant()))
    assert Stage.objects.count() == 1


def test_the_board(tenant: Tenant, client: Client) -> None:
    first, last = _app(tenant, NEW), _app(tenant)
    client.force_login(factories.member(tenant, "owner").user)
    for name, copy, command in (("test", first, "/app/smoke 'a b'"), ("production", last, "")):
        sent = {"line": "shop", "name": name, "environments": [str(copy.pk)], "command": command}
        made = client.post("/stages/", sent)
        assert made.status_code == 302, made.content.decode()[:2000]
    test, production = Stage.objects.order_by("place")
    assert (test.command, production.command) == (["/app/smoke", "a b"], [])
    odd = client.post("/stages/", {"line": "shop", "name": "odd", "environments": [], "command": "'a"})
    assert odd.status_code == 422
    at, spare = f"/stages/{test.pk}/", _app(tenant, NEW)
    assert "/app/smoke &#x27;a b&#x27;" in client.get(at).content.decode()
    sent = {"environments": [str(first.pk), str(spare.pk)], "command": "/x", "drain_s": "7", "needs_yes": "on"}
    assert client.post(at, {**sent, "drain_s": "-1"}).status_code == 422
    assert client.post(at, sent).status_code == 302
    test.refresh_from_db()
    changed = (test.command, test.drain_s, test.needs_yes, test.needs_health, test.copies.count())
    assert changed == (["/x"], 7, True, False, 2)
    sent = {"environments": [str(first.pk)], "command": "", "drain_s": "0", "needs_health": "on"}
    assert client.post(at, sent).status_code == 302
    text = client.get("/stages/").content.decode()
    assert first.name in text
    assert f"/stages/{test.pk}/promote" in text
    assert f"/stages/{production.pk}/promote" not in text
    assert client.post(f"/stages/{test.pk}/promote").status_code == 302
    rollout = Rollout.objects.get()
    assert rollout.image == NEW
    assert first.state == State.RUNNING
    client.post(f"/stages/{production.pk}/rollback")
    assert client.post("/stages/", {"line": "Shop", "name": "x", "environments": []}).status_code == 422
