"""Every operation ends in a named state with a cause and a next step; retry and cancel do what they say."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from panel.environments import services
from panel.environments.models import Environment
from panel.environments.states import State
from panel.environments.tasks import end_overdue
from panel.errors import Conflict, TooMany
from panel.nodes.models import Node
from panel.operations.models import Operation, OperationKind
from panel.operations.services import SHARE, admit
from panel.tenants.models import Tenant
from runtime.contract import DesiredState, ObservedState
from runtime.contract.transport import ASKED, MANY
from runtime.contract.words import steps, ways
from tests.panel.support.factories import administrator, environment, gone, member, node, reported, tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Tenant:
    node()
    return tenant()


def _failed(row: Environment, **fields: Any) -> Operation:
    """The node gave the newest intent up; the operation that ended with it."""
    operation = Operation.objects.get(pk=row.operation_id)
    row.refresh_from_db()
    values = {"generation": row.observed_generation, "code": "broken", "message": "It broke.", **fields}
    reported(row, ObservedState.STOPPED, attempted_generation=operation.generation, **values)
    operation.refresh_from_db()
    row.refresh_from_db()
    assert operation.state == "failed"
    return operation


def test_a_failed_create_is_tried_again(customer: Tenant) -> None:
    row = environment(customer, is_running=False)
    failed = _failed(row)
    assert row.state == State.FAILED
    assert (failed.code, failed.message) == ("broken", "It broke.")
    again = services.retry_operation(administrator(), failed.pk)
    assert again.operation is not None
    assert again.operation.kind == OperationKind.CREATE
    assert again.operation.retry_of_id == failed.pk
    reported(row)
    row.refresh_from_db()
    assert row.state == State.RUNNING


def test_a_failed_change_is_taken_back_and_asked_for_as_a_whole_by_a_retry(customer: Tenant) -> None:
    who, row = administrator(), environment(customer)
    changes = {
        "name": "other",
        "limits": {"memory_mb": 96},
        "restart": {"mode": "never"},
        "stop_timeout_s": 7.0,
    }
    before = (row.name, row.intent)
    services.update_environment(who, row.pk, changes)
    row.refresh_from_db()
    failed = _failed(row)
    assert (row.name, row.intent) == before
    reported(row)
    services.retry_operation(who, failed.pk)
    row.refresh_from_db()
    assert (row.name, row.limits["memory_mb"], row.stop_timeout_s) == ("other", 96, 7.0)
    assert row.intent["restart"]["mode"] == "never"


@pytest.mark.parametrize(
    ("verb", "wanted"),
    [
        ("stop", DesiredState.STOPPED),
        ("pause", DesiredState.PAUSED),
        ("restart", DesiredState.RUNNING),
        ("reinstall", DesiredState.RUNNING),
    ],
)
def test_a_retry_asks_for_the_same_whatever_was_asked_for_since(
    customer: Tenant, verb: str, wanted: DesiredState
) -> None:
    who, row = administrator(), environment(customer)
    getattr(services, verb)(who, row.pk)
    row.refresh_from_db()
    failed = _failed(row)
    services.stop(who, row.pk) if wanted == DesiredState.RUNNING else services.start(who, row.pk)
    if wanted == DesiredState.PAUSED:
        reported(row)
    row.refresh_from_db()
    counts = (row.boots, row.installs)
    again = services.retry_operation(who, failed.pk)
    assert again.environment.desired_state == wanted
    assert (again.environment.boots - counts[0]) == (verb == "restart")


def test_an_end_that_is_noticed_while_a_worker_is_gone_ends_no_operation(customer: Tenant) -> None:
    """A restart stopped the environment, its worker was killed, and the agent takes the end for a crash."""
    who, row = administrator(), environment(customer)
    operation = services.restart(who, row.pk).operation
    assert operation is not None
    reported(row, ObservedState.STOPPED, generation=row.generation, code="init_crashed", message="Killed.")
    operation.refresh_from_db()
    row.refresh_from_db()
    assert operation.is_open
    assert row.attempted_generation < row.generation, "it is sent again"
    reported(row)
    operation.refresh_from_db()
    assert operation.state == "succeeded"


def test_a_failed_reinstall_is_not_counted_twice_while_the_node_still_owes_it(customer: Tenant) -> None:
    """A second count would put another new root under the one that was half made."""
    who, row = administrator(), environment(customer)
    services.reinstall(who, row.pk)
    row.refresh_from_db()
    failed = _failed(row)
    services.retry_operation(who, failed.pk)
    row.refresh_from_db()
    assert row.installs == 1


def test_a_failed_delete_is_tried_again_until_nothing_is_left(customer: Tenant) -> None:
    who, row = administrator(), environment(customer)
    services.delete_environment(who, row.pk)
    row.refresh_from_db()
    failed = _failed(row, code="volume_busy", message="The root volume can't be deleted: busy.")
    assert row.state == State.FAILED
    services.retry_operation(who, failed.pk)
    gone(row)
    row.refresh_from_db()
    assert row.deleted_at is not None


def test_a_cancelled_create_says_when_nothing_of_it_is_left(customer: Tenant) -> None:
    who, row = administrator(), environment(customer, is_running=False)
    create = Operation.objects.get(pk=row.operation_id)
    services.cancel_operation(who, create.pk)
    create.refresh_from_db()
    assert create.state == "cancelled"
    assert create.message == f"Cancelled by {who.name}."
    row.refresh_from_db()
    assert row.state == State.DELETING
    gone(row)
    create.refresh_from_db()
    assert create.message.endswith("Nothing of it is left.")


@pytest.mark.parametrize("verb", ["stop", "pause", "restart"])
def test_a_cancelled_power_change_asks_for_what_was_before(customer: Tenant, verb: str) -> None:
    who, row = administrator(), environment(customer)
    operation = getattr(services, verb)(who, row.pk).operation
    services.cancel_operation(who, operation.pk)
    row.refresh_from_db()
    assert row.desired_state == DesiredState.RUNNING
    assert row.boots == 0
    reported(row)
    operation.refresh_from_db()
    assert operation.message.endswith("All is as it was before.")


@pytest.mark.parametrize("verb", ["reinstall", "delete_environment"])
def test_what_cannot_be_taken_back_says_so_and_what_happens_next(customer: Tenant, verb: str) -> None:
    who, row = administrator(), environment(customer)
    operation = getattr(services, verb)(who, row.pk).operation
    with pytest.raises(Conflict) as refused:
        services.cancel_operation(who, operation.pk)
    assert refused.value.code == "not_cancellable"
    assert "deadline" in refused.value.next_step
    assert not operation.can_cancel


def _overdue(row: Environment, *, silent: bool) -> Operation:
    Operation.objects.filter(pk=row.operation_id).update(deadline=timezone.now() - timedelta(seconds=1))
    if silent:
        Node.objects.update(last_seen_at=timezone.now() - timedelta(minutes=5))
    assert end_overdue() == 1
    row.refresh_from_db()
    return Operation.objects.get(pk=row.operation_id)


@pytest.mark.parametrize(("silent", "code"), [(True, "node_silent"), (False, "deadline_passed")])
def test_what_is_not_heard_of_in_time_fails_with_its_cause_and_may_still_succeed(
    customer: Tenant, silent: bool, code: str
) -> None:
    row = environment(customer, is_running=False)
    operation = _overdue(row, silent=silent)
    assert (operation.state, operation.code) == ("failed", code)
    assert operation.next_step
    assert row.state == State.FAILED
    assert row.message == operation.message
    reported(row)
    operation.refresh_from_db()
    row.refresh_from_db()
    assert operation.state == "succeeded"
    assert operation.message == "Done, but only after its deadline."
    assert row.state == State.RUNNING


def test_an_end_by_force_is_told_though_what_was_asked_for_is_done(customer: Tenant) -> None:
    row = environment(customer)
    operation = services.stop(administrator(), row.pk).operation
    row.refresh_from_db()
    began = timezone.now()
    step = {"name": "shutdown", "verb": "wait", "state": "done", "started_at": began, "detail": steps.forced()}
    reported(row, operation_id=operation.pk, state="stopped", steps=[step])
    operation.refresh_from_db()
    assert (operation.state, operation.code) == ("succeeded", "forced")
    assert "ended by force" in operation.message
    assert operation.next_step


def test_keys_that_let_nobody_in_are_told_though_they_were_written(customer: Tenant) -> None:
    row = environment(customer)
    operation = services.restart(administrator(), row.pk).operation
    row.refresh_from_db()
    said = steps.several((steps.ssh_keys(1), ways.keys_let_nobody_in(ways.no_server())))
    step = {
        "name": "guest files",
        "verb": "ensure",
        "state": "done",
        "started_at": timezone.now(),
        "detail": said,
    }
    reported(row, operation_id=operation.pk, steps=[step])
    operation.refresh_from_db()
    assert (operation.state, operation.code) == ("succeeded", "no_way_in")
    assert operation.message == "It is done, but the keys let nobody in by SSH: no SSH server is installed."
    assert operation.next_step


def test_b20_one_tenant_s_thousands_are_refused_and_another_goes_ahead(customer: Tenant, settings: Any) -> None:
    who, row, other = member(customer), environment(customer), tenant()
    settings.WADAH = settings.WADAH.model_copy(update={"tenant_open_operations": 20})
    for _ in range(SHARE):
        services.restart(who, row.pk)
    assert admit(who, customer.pk) == MANY
    assert admit(who, other.pk) == ASKED
    for _ in range(10):
        services.restart(who, row.pk)
    with pytest.raises(TooMany) as refused:
        services.restart(who, row.pk)
    assert refused.value.status == 429
    assert "20 operations" in str(refused.value)
    row.refresh_from_db()
    assert row.boots == 20
    last = Operation.objects.get(pk=row.operation_id)
    services.cancel_operation(who, last.pk)
    assert admit(who, other.pk) == ASKED


def test_the_default_leaves_room_for_a_hundred_machines() -> None:
    assert settings.WADAH.tenant_open_operations >= 100
