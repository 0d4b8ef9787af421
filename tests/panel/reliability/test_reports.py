"""What nodes say: stale, lost, from a clock that was set back, or about something that is gone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from panel import dispatch
from panel.environments import tasks
from panel.environments.consistency import examine
from panel.environments.models import Environment
from panel.environments.observe import observe
from panel.environments.selectors import node_events
from panel.environments.states import State
from panel.fleet import leaks
from panel.metering.intake import observe_usage
from panel.nodes.models import Node
from panel.nodes.services import observe_node
from panel.operations.models import Operation
from panel.tenants.models import Tenant
from runtime.contract import (
    EnvironmentEvent,
    EventCode,
    Lacking,
    Leak,
    ObservedState,
    Survey,
    Usage,
    UsageReport,
)
from tests.panel.support.factories import administrator, environment, gone, node, node_report, reported, tenant
from tests.panel.support.reports import report_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Tenant:
    node("alpha")
    return tenant()


def _long_ago(row: Environment) -> None:
    Environment.objects.filter(pk=row.pk).update(heard_at=timezone.now() - timedelta(minutes=2))
    row.refresh_from_db()


def test_an_older_report_changes_nothing(customer: Tenant) -> None:
    row = environment(customer)
    assert not observe(report_of(row, row.observed_sequence - 1, state=ObservedState.STOPPED))
    assert not observe(report_of(row, row.observed_sequence, state=ObservedState.STOPPED))
    row.refresh_from_db()
    assert row.state == State.RUNNING


def test_a_node_whose_count_began_anew_is_heard_again_after_a_minute(customer: Tenant) -> None:
    row = environment(customer)
    _long_ago(row)
    assert not observe(report_of(row, row.observed_sequence, state=ObservedState.STOPPED))
    assert observe(report_of(row, 5, state=ObservedState.STOPPED))
    assert observe(report_of(row, 6, state=ObservedState.RUNNING))
    row.refresh_from_db()
    assert row.observed_sequence == 6


def test_what_happens_by_itself_is_on_the_record_once(customer: Tenant) -> None:
    row = environment(customer)
    said = "Out of memory: the limit of 64 MiB was reached and the kernel killed dd."
    event = EnvironmentEvent(code=EventCode.OUT_OF_MEMORY, message=said, at=datetime.now(UTC))
    report = report_of(row, row.observed_sequence + 1, events=(event,))
    assert observe(report)
    assert not observe(report), "the same message again"
    (seen,) = node_events(row)
    assert (seen.after["message"], seen.who) == (said, "node alpha")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Environments that a node was asked to look at."""
    found: list[Any] = []
    monkeypatch.setattr(dispatch, "ask_to_look", lambda name, ids: found.extend(ids))
    return found


def _use(row: Environment, **fields: Any) -> UsageReport:
    usage = Usage(environment_id=row.pk, memory_bytes=5, **fields)
    return UsageReport(node=row.node.name, at=datetime.now(UTC), usages=(usage,))


def test_use_is_kept_and_a_state_that_was_not_reported_is_asked_for(customer: Tenant, asked: list[Any]) -> None:
    row = environment(customer)
    assert observe_usage(_use(row, state=ObservedState.STOPPED, generation=row.generation)) == 1
    row.refresh_from_db()
    assert row.usage.memory_bytes == 5
    assert asked == [], "it may be reported in this very moment"
    _long_ago(row)
    observe_usage(_use(row, state=ObservedState.RUNNING, generation=row.generation))
    assert asked == []
    observe_usage(_use(row, state=ObservedState.STOPPED, generation=row.generation))
    assert asked == [row.pk]


def _survey(row: Environment | None, **fields: Any) -> Node:
    known = () if row is None else (row.pk,)
    made = Survey(at=datetime.now(UTC), known=fields.pop("known", known), **fields)
    return observe_node(node_report("alpha").model_copy(update={"survey": made, "leaks": len(made.leaks)}))


def test_leaks_are_kept_and_shown(customer: Tenant) -> None:
    row = environment(customer)
    leak = Leak(resource="network link", what="wadah-1")
    alpha = _survey(row, leaks=(leak,), lacking=(Lacking(environment_id=row.pk, why="its route is gone"),))
    shown = leaks.show(alpha)
    assert shown["leaks"] == [{"resource": "network link", "what": "wadah-1", "environment_id": None}]
    assert shown["lacking"][0]["name"] == row.name
    assert leaks.findings(alpha).count == 1
    # a heartbeat without a survey keeps what was found
    assert leaks.findings(observe_node(node_report("alpha"))).count == 1
    assert leaks.findings(_survey(row)).count == 0


def test_an_environment_that_only_the_node_knows_is_shown_and_left_alone(customer: Tenant) -> None:
    row, deleted = environment(customer), environment(customer)
    gone(deleted)
    assert leaks.findings(_survey(row, known=(row.pk, deleted.pk))).unknown == []
    Environment.objects.filter(pk=deleted.pk).update(deleted_at=timezone.now() - timedelta(minutes=5))
    assert leaks.findings(_survey(row, known=(row.pk, deleted.pk))).unknown == [str(deleted.pk)]


def test_an_environment_that_its_node_lost_says_so(customer: Tenant) -> None:
    row = environment(customer)
    assert leaks.findings(_survey(None)).lost == [], "it may have been made after the node looked"
    _long_ago(row)
    assert leaks.findings(_survey(None)).lost == [{"environment_id": str(row.pk), "name": row.name}]
    row.refresh_from_db()
    assert row.state == State.FAILED
    assert row.code == "lost_on_node"
    assert "Start it" in row.next_step
    _survey(None)
    reported(row)
    row.refresh_from_db()
    assert row.state == State.RUNNING


def test_sums_add_up_and_a_wrong_one_is_found(customer: Tenant) -> None:
    environment(customer)
    gone(environment(customer))
    assert examine() == []
    Node.objects.update(reserved_memory_mb=1)
    customer.quotas.filter(resource="cpu").update(reserved=7)
    found = examine()
    assert any("reserved_memory_mb is 1" in sentence for sentence in found)
    assert any("quota cpu" in sentence for sentence in found)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(dispatch, "apply_on_commit", lambda spec, **_: found.append(spec.id))
    return found


def test_what_the_broker_did_not_take_is_sent_at_the_next_tick(customer: Tenant, sent: list[Any]) -> None:
    row = environment(customer, is_running=False)
    sent.clear()
    assert tasks.resend_behind() == 0, "it was sent a moment ago"
    Environment.objects.update(sent_at=None, send_attempts=0)
    assert tasks.resend_behind() == 1
    assert sent == [row.pk]


def test_a_clock_that_was_set_back_holds_nothing_up(customer: Tenant, sent: list[Any]) -> None:
    """Times of before lie ahead now: they count as long ago."""
    environment(customer, is_running=False)
    sent.clear()
    Environment.objects.update(sent_at=timezone.now() + timedelta(hours=1))
    assert tasks.resend_behind() == 1
    ahead = timezone.now() + timedelta(hours=1)
    assert not Node(name="x", last_seen_at=ahead).is_online()


def test_a_clock_that_jumps_ahead_ends_operations_only_until_they_are_heard_of(customer: Tenant) -> None:
    row = environment(customer, administrator(), is_running=False)
    Operation.objects.update(deadline=timezone.now() - timedelta(hours=1))
    tasks.end_overdue()
    reported(row)
    assert Operation.objects.get(pk=row.operation_id).state == "succeeded"


def test_a_node_that_started_anew_says_what_it_has(
    customer: Tenant, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    """Its last writes may be gone with the power: what it is behind with then is sent again."""
    row, _ = environment(customer), environment(customer)
    asked: list[Any] = []
    monkeypatch.setattr(dispatch, "ask_to_look", lambda name, ids: asked.append((name, len(ids))))
    with django_capture_on_commit_callbacks(execute=True):
        observe_node(node_report("alpha", boot_id=row.node.facts["boot_id"]))
    assert asked == [], "it is the same start"
    with django_capture_on_commit_callbacks(execute=True):
        observe_node(node_report("alpha", boot_id=uuid4()))
    assert asked == [("alpha", 2)]
    # it had the first generation only: the newest one is owed again, and sent
    rows = Environment.objects.filter(pk=row.pk)
    rows.update(generation=2, observed_generation=2, attempted_generation=2)
    assert tasks.resend_behind() == 0
    row.refresh_from_db()
    assert observe(report_of(row, row.observed_sequence + 1, generation=1, attempted_generation=1))
    long_ago = timezone.now() - timedelta(minutes=5)
    rows.update(sent_at=long_ago, heard_at=long_ago)
    assert tasks.resend_behind() == 1


def test_f22_a_node_says_nothing_of_another_nodes_environments(customer: Tenant, asked: list[Any]) -> None:
    """What was stolen is the credential of `beta`; the environment is on `alpha`."""
    row = environment(customer)
    node("beta")
    stolen = report_of(row, row.observed_sequence + 1, node="beta", state=ObservedState.STOPPED)
    assert not observe(stolen)
    usage = Usage(environment_id=row.pk, memory_bytes=5, state=ObservedState.STOPPED, generation=row.generation)
    assert observe_usage(UsageReport(node="beta", at=datetime.now(UTC), usages=(usage,))) == 0
    row.refresh_from_db()
    assert (row.state, row.node.name) == (State.RUNNING, "alpha")
    assert not hasattr(row, "usage")
    assert asked == []
