"""A stack in the panel: in which order its environments come, what a change makes anew, what stays."""

from typing import Any

import pytest

from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.environments.specs import spec_of
from panel.errors import Conflict, Forbidden, QuotaExceeded
from panel.jobs.models import Job
from panel.operations.control import cancel, retry
from panel.operations.models import Operation, OperationState
from panel.rights.actor import Actor
from panel.stacks import services
from panel.stacks.compose import read
from panel.stacks.models import Member, Stack, StackState
from panel.stacks.refusals import BadCompose
from panel.stacks.selectors import found, seen
from panel.stacks.services import Asked
from panel.stacks.work import look
from panel.tenants.models import Tenant
from panel.volumes.models import Volume
from runtime.contract import HealthSeen, HealthState, JobOutcome, Kind, ObservedState
from runtime.contract.app import AppSeen
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

DIGEST = f"sha256:{'a' * 64}"
SHOP = """
services:
  web:
    image: shop:1
    ports: ["8080:80", "20123:81"]
    depends_on: {db: {condition: service_healthy}, init: {condition: service_completed_successfully}}
    environment: {DATABASE: "postgres://db/${NAME:-shop}"}
    restart: unless-stopped
  init:
    image: shop:1
    command: migrate --all
    depends_on: {db: {condition: service_healthy}}
  db:
    image: postgres:16
    restart: always
    volumes: ["data:/var/lib/postgresql/data"]
    secrets: [password]
    healthcheck: {test: ["CMD", "pg_isready"], interval: 5s}
volumes: {data: }
secrets: {password: {environment: PASSWORD}}
"""
LIMITS = {"cpu": 0.5, "memory_mb": 64, "disk_mb": 128}
ASKED = Asked(compose=SHOP, variables={"PASSWORD": "s3cret"}, limits=LIMITS, volume_mb=100)


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant(quota={"disk_mb": 10_000, "memory_mb": 4000})


@pytest.fixture
def actor(tenant: Tenant) -> Actor:
    return factories.member(tenant, "administrator")


def rows(stack: Stack) -> dict[str, Environment]:
    found = Member.objects.filter(stack=stack).select_related("environment__tenant", "environment__node")
    return {one.environment.name: one.environment for one in found}


def names_of(row: Environment) -> dict[str, list[str]]:
    row.refresh_from_db()
    return {one.name: [str(address) for address in one.addresses] for one in spec_of(row).network.names}


def up(row: Environment, health: HealthState | None = None) -> None:
    """It runs, and is asked how it is where it has a check."""
    seen_health = None if health is None else HealthSeen(state=health)
    factories.reported(row, app=AppSeen(image=row.image, digest=DIGEST, health=seen_health), started_at=_now())


def ended(row: Environment, code: int) -> None:
    factories.reported(
        row,
        ObservedState.STOPPED,
        app=AppSeen(image=row.image, digest=DIGEST),
        exit_code=code,
        code="app_ended" if code else "app_done",
    )


def _now() -> Any:
    from django.utils import timezone

    return timezone.now()


def made(actor: Actor, tenant: Tenant, asked: Asked = ASKED, name: str = "shop") -> Stack:
    """Up to the point where all its environments are there, stopped."""
    stack, _operation = services.create_stack(actor, tenant, name=name, asked=asked)
    look(stack.pk)
    for job in Job.objects.filter(is_over=False):
        factories.job_reported(job.operation, JobOutcome.SUCCEEDED)
    look(stack.pk)
    for row in rows(stack).values():
        factories.reported(row, ObservedState.STOPPED)
    look(stack.pk)
    return stack


def running(actor: Actor, tenant: Tenant) -> Stack:
    stack = made(actor, tenant)
    up(rows(stack)["shop-db-1"], HealthState.HEALTHY)
    look(stack.pk)
    ended(rows(stack)["shop-init-1"], 0)
    look(stack.pk)
    up(rows(stack)["shop-web-1"])
    look(stack.pk)
    assert state_of(stack) == OperationState.SUCCEEDED
    return stack


def state_of(stack: Stack) -> str:
    stack.refresh_from_db()
    return Operation.objects.get(pk=stack.operation_id).state


def wanted(stack: Stack) -> dict[str, str]:
    return {name: row.desired_state for name, row in rows(stack).items()}


def test_each_waits_for_what_it_depends_on(actor: Actor, tenant: Tenant) -> None:
    stack = made(actor, tenant)
    assert wanted(stack) == {"shop-db-1": "running", "shop-init-1": "stopped", "shop-web-1": "stopped"}
    up(rows(stack)["shop-db-1"], HealthState.STARTING)
    look(stack.pk)
    assert wanted(stack)["shop-init-1"] == "stopped"
    up(rows(stack)["shop-db-1"], HealthState.HEALTHY)
    look(stack.pk)
    assert wanted(stack) == {"shop-db-1": "running", "shop-init-1": "running", "shop-web-1": "stopped"}
    ended(rows(stack)["shop-init-1"], 0)
    look(stack.pk)
    assert wanted(stack)["shop-web-1"] == "running"
    up(rows(stack)["shop-web-1"])
    look(stack.pk)
    assert state_of(stack) == OperationState.SUCCEEDED
    assert seen(found(actor, stack.pk)).state == StackState.RUNNING
    assert examine() == []


def test_what_each_is_made_from(actor: Actor, tenant: Tenant) -> None:
    stack = running(actor, tenant)
    web, db = spec_of(rows(stack)["shop-web-1"]), spec_of(rows(stack)["shop-db-1"])
    assert web.app is not None
    assert web.app.env == {"DATABASE": "postgres://db/shop"}
    assert web.app.image == "docker.io/library/shop:1"
    assert sorted((one.port, one.node_port) for one in web.network.forwards)[1] == (81, 20123)
    assert db.app is not None
    assert list(db.app.secrets) == ["password"]
    assert [(one.path, one.read_only) for one in db.volumes] == [("/var/lib/postgresql/data", False)]
    assert "s3cret" not in f"{stack.compose}{stack.given}{list(Operation.objects.values_list('details'))}"


def test_members_find_each_other_by_service(actor: Actor, tenant: Tenant) -> None:
    stack = running(actor, tenant)
    there = rows(stack)
    address = there["shop-db-1"].addresses.get(family=4).address
    for name in ("shop-web-1", "shop-db-1"):
        assert names_of(there[name])["db"] == [address]
    asked = Asked(
        compose=SHOP.replace("20123:81", "81"), variables={"PASSWORD": "x"}, limits=LIMITS, volume_mb=100
    )
    other = made(actor, tenant, asked, name="other")
    theirs = rows(other)["other-db-1"]
    assert names_of(theirs)["db"] != [address]
    assert "shop-db-1" not in names_of(theirs)


def test_only_what_is_other_is_made_anew_and_its_new_address_is_told(actor: Actor, tenant: Tenant) -> None:
    stack = running(actor, tenant)
    before = rows(stack)
    changed = Asked(compose=SHOP.replace("postgres:16", "postgres:17"))
    preview = services.preview_change(actor, stack.pk, changed)
    assert {one.name: (one.does, one.why) for one in preview.changes} == {
        "shop-db-1": ("remake", ("image",)),
        "shop-init-1": ("keep", ()),
        "shop-web-1": ("keep", ()),
    }
    stack.refresh_from_db()
    assert stack.compose == SHOP
    services.change_stack(actor, stack.pk, changed)
    look(stack.pk)
    assert wanted(stack)["shop-db-1"] == "deleted"
    factories.gone(before["shop-db-1"])
    look(stack.pk)
    after = rows(stack)
    assert after["shop-db-1"].pk != before["shop-db-1"].pk
    assert after["shop-web-1"].pk == before["shop-web-1"].pk
    factories.reported(after["shop-db-1"], ObservedState.STOPPED)
    look(stack.pk)
    address = after["shop-db-1"].addresses.held().get(family=4).address
    assert names_of(rows(stack)["shop-web-1"])["db"] == [address]
    assert rows(stack)["shop-web-1"].boots == before["shop-web-1"].boots
    assert Volume.objects.count() == 1
    factories.reported(rows(stack)["shop-web-1"])
    up(rows(stack)["shop-db-1"], HealthState.HEALTHY)
    look(stack.pk)
    assert state_of(stack) == OperationState.SUCCEEDED
    assert services.change_stack(actor, stack.pk, changed)[1] is None
    assert examine() == []


def test_scaled_up_and_down(actor: Actor, tenant: Tenant) -> None:
    stack = running(actor, tenant)
    services.change_stack(actor, stack.pk, Asked(scale={"web": 3}))
    look(stack.pk)
    assert sorted(wanted(stack)) == ["shop-db-1", "shop-init-1", "shop-web-1", "shop-web-2", "shop-web-3"]
    services.change_stack(actor, stack.pk, Asked(scale={"web": 1}))
    look(stack.pk)
    assert [name for name, state in wanted(stack).items() if state == "deleted"] == ["shop-web-2", "shop-web-3"]


WEBS = """
services:
  web:
    image: shop:1
    deploy: {replicas: 2}
    healthcheck: {test: [CMD, ask], interval: 5s}
"""


def _webs(actor: Actor, tenant: Tenant) -> Stack:
    """Two healthy copies, which are being changed."""
    stack = made(actor, tenant, Asked(compose=WEBS, limits=LIMITS))
    for row in rows(stack).values():
        up(row, HealthState.HEALTHY)
    look(stack.pk)
    assert state_of(stack) == OperationState.SUCCEEDED
    services.change_stack(actor, stack.pk, Asked(compose=WEBS.replace("shop:1", "shop:2")))
    look(stack.pk)
    return stack


def test_copies_are_made_anew_one_after_another(actor: Actor, tenant: Tenant) -> None:
    stack = _webs(actor, tenant)
    for name in ("shop-web-1", "shop-web-2"):
        assert [one for one, state in wanted(stack).items() if state == "deleted"] == [name]
        factories.gone(rows(stack)[name])
        look(stack.pk)
        factories.reported(rows(stack)[name], ObservedState.STOPPED)
        look(stack.pk)
        up(rows(stack)[name], HealthState.STARTING)
        look(stack.pk)
        assert "deleted" not in wanted(stack).values(), "the next waits until this one is well"
        assert state_of(stack) == OperationState.RUNNING
        for row in rows(stack).values():
            up(row, HealthState.HEALTHY)
        look(stack.pk)
    assert state_of(stack) == OperationState.SUCCEEDED
    assert {row.image for row in rows(stack).values()} == {"docker.io/library/shop:2"}


def test_one_that_is_not_well_stops_the_rest_and_is_gone_back_from(actor: Actor, tenant: Tenant) -> None:
    stack = _webs(actor, tenant)
    factories.gone(rows(stack)["shop-web-1"])
    look(stack.pk)
    factories.reported(rows(stack)["shop-web-1"], ObservedState.STOPPED)
    look(stack.pk)
    up(rows(stack)["shop-web-1"], HealthState.UNHEALTHY)
    look(stack.pk)
    assert state_of(stack) == OperationState.FAILED
    assert rows(stack)["shop-web-2"].image == "docker.io/library/shop:1"
    services.roll_back(actor, stack.pk)
    look(stack.pk)
    assert wanted(stack) == {"shop-web-1": "deleted", "shop-web-2": "running"}
    stack.refresh_from_db()
    assert stack.compose == WEBS
    with pytest.raises(Conflict):
        services.roll_back(actor, made(actor, tenant, Asked(compose=WEBS, limits=LIMITS), "other").pk)


def test_stopped_against_the_order_and_started_again(actor: Actor, tenant: Tenant) -> None:
    stack = running(actor, tenant)
    services.set_running(actor, stack.pk, running=False)
    look(stack.pk)
    assert wanted(stack) == {"shop-db-1": "running", "shop-init-1": "running", "shop-web-1": "stopped"}
    for name in ("shop-web-1", "shop-init-1", "shop-db-1"):
        factories.reported(rows(stack)[name], ObservedState.STOPPED)
        look(stack.pk)
    assert state_of(stack) == OperationState.SUCCEEDED
    services.set_running(actor, stack.pk, running=True)
    look(stack.pk)
    assert wanted(stack)["shop-db-1"] == "running"


def test_deleted_its_volumes_stay_unless_they_are_named(actor: Actor, tenant: Tenant) -> None:
    for with_volumes in (False, True):
        stack = running(actor, tenant)
        services.delete_stack(actor, stack.pk, with_volumes=with_volumes)
        look(stack.pk)
        for row in rows(stack).values():
            factories.gone(row)
        look(stack.pk)
        for job in Job.objects.filter(is_over=False):
            factories.job_reported(job.operation, JobOutcome.SUCCEEDED)
        look(stack.pk)
        assert not Stack.objects.exists()
        assert Volume.objects.exists() != with_volumes
        assert examine() == []


def test_one_that_fails_ends_the_operation_and_is_tried_again(actor: Actor, tenant: Tenant) -> None:
    stack, operation = services.create_stack(actor, tenant, name="shop", asked=ASKED)
    look(stack.pk)
    for job in Job.objects.filter(is_over=False):
        factories.job_reported(job.operation, JobOutcome.SUCCEEDED)
    look(stack.pk)
    row = rows(stack)["shop-db-1"]
    factories.reported(row, ObservedState.FAILED, generation=0, code="image_missing", attempted_generation=1)
    look(stack.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.code) == (OperationState.FAILED, "image_missing")
    assert "shop-db-1" in str(operation.message)
    again = retry(actor, operation.pk)
    assert again is not None
    assert again.retry_of_id == operation.pk
    row.refresh_from_db()
    assert row.generation == 2
    assert not row.has_failed
    assert spec_of(row).volumes


def test_a_dependency_that_will_never_be_so_ends_the_operation(actor: Actor, tenant: Tenant) -> None:
    stack = made(actor, tenant)
    up(rows(stack)["shop-db-1"], HealthState.HEALTHY)
    look(stack.pk)
    ended(rows(stack)["shop-init-1"], 3)
    look(stack.pk)
    operation = Operation.objects.get(pk=Stack.objects.get().operation_id)
    assert (operation.state, operation.code) == (OperationState.FAILED, "dependency_failed")
    assert wanted(stack)["shop-web-1"] == "stopped"


def test_cancelled_nothing_more_begins(actor: Actor, tenant: Tenant) -> None:
    stack = made(actor, tenant)
    stack.refresh_from_db()
    assert stack.operation_id is not None
    cancel(actor, stack.operation_id)
    up(rows(stack)["shop-db-1"], HealthState.HEALTHY)
    look(stack.pk)
    assert wanted(stack)["shop-init-1"] == "stopped"
    assert state_of(stack) == OperationState.CANCELLED


def test_what_has_no_room_is_refused_before_anything_is_made(actor: Actor, tenant: Tenant) -> None:
    for asked in (
        Asked(compose=SHOP, variables={"PASSWORD": "x"}, limits={**LIMITS, "memory_mb": 3000}),
        Asked(compose=SHOP, variables={"PASSWORD": "x"}, limits=LIMITS, volume_mb=20_000),
    ):
        with pytest.raises(QuotaExceeded):
            services.create_stack(actor, tenant, name="shop", asked=asked)
    with pytest.raises(BadCompose):
        services.create_stack(actor, tenant, name="shop", asked=Asked(compose=SHOP))
    assert not Stack.objects.exists()
    assert not Operation.objects.exists()
    assert examine() == []


def test_who_may_not_delete_makes_nothing_anew(actor: Actor, tenant: Tenant) -> None:
    """Nor does the work in the name of who asked."""
    stack = running(actor, tenant)
    operator = factories.member(tenant, "operator")
    with pytest.raises(Forbidden):
        services.change_stack(operator, stack.pk, Asked(compose=SHOP.replace("postgres:16", "postgres:17")))
    assert services.change_stack(operator, stack.pk, Asked(scale={"web": 2}))[1] is not None
    viewer = factories.member(tenant, "viewer")
    with pytest.raises(Forbidden):
        services.set_running(viewer, stack.pk, running=False)
    with pytest.raises(Forbidden):
        services.create_stack(viewer, tenant, name="more", asked=ASKED)


def test_who_lost_his_rights_meanwhile_brings_nothing_forward(actor: Actor, tenant: Tenant) -> None:
    stack, operation = services.create_stack(actor, tenant, name="shop", asked=ASKED)
    actor.user.memberships.all().delete()
    look(stack.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.code) == (OperationState.FAILED, "forbidden")
    assert not Environment.objects.exists()
    assert not Volume.objects.exists()


def test_one_that_somebody_deleted_comes_back_with_the_next_deploy(actor: Actor, tenant: Tenant) -> None:
    stack = running(actor, tenant)
    web = rows(stack)["shop-web-1"]
    delete_environment(actor, web.pk, now=True)
    factories.gone(web)
    assert services.change_stack(actor, stack.pk, Asked(compose=SHOP))[1] is not None
    look(stack.pk)
    assert rows(stack)["shop-web-1"].pk != web.pk


def test_names_that_are_taken_are_refused(actor: Actor, tenant: Tenant) -> None:
    factories.environment(tenant, name="shop-web-1")
    with pytest.raises(Conflict):
        services.create_stack(actor, tenant, name="shop", asked=ASKED)
    assert not Stack.objects.exists()


def test_a_file_is_read_once_however_often_its_stack_is_looked_at(
    actor: Actor, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = made(actor, tenant)
    Operation.objects.filter(subject_id=str(stack.pk)).update(state=OperationState.SUCCEEDED)
    times: list[object] = []
    monkeypatch.setattr("panel.stacks.work.read", lambda source: times.append(source) or read(source))
    for _ in range(3):
        look(stack.pk)
    assert len(times) == 1
    Stack.objects.filter(pk=stack.pk).update(version=stack.version + 5)
    look(stack.pk)
    assert len(times) == 2
