"""What nodes do once is an operation like any other: steps, progress, retry, cancel, deadline."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from panel import dispatch
from panel.audit.models import AuditRecord
from panel.errors import Conflict, NotFound
from panel.images.models import Image, NodeImage, NodeImageState
from panel.images.services import build_image, delete_image
from panel.jobs import tasks
from panel.jobs.models import Job
from panel.nodes.models import Node
from panel.operations import control
from panel.operations.models import Operation
from panel.rights.actor import Actor
from runtime.contract import JobOutcome, JobSpec, Step, StepState
from tests.panel.support.factories import administrator, bearer, job_reported, member, node, tenant

pytestmark = pytest.mark.django_db
STEP = Step(name="image tree", verb="do", state=StepState.RUNNING, started_at=datetime.now(UTC))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Any:
    """What nodes are sent; a callable that commits what is under way and hands it over."""
    found: list[tuple[str, JobSpec]] = []

    def send(task: str, document: Any, node: str, priority: int) -> bool:
        if task == "runtime.do":
            found.append((node, JobSpec.model_validate(document)))
        return True

    monkeypatch.setattr(dispatch, "_send", send)
    return found


@pytest.fixture
def here() -> Node:
    return node()


def _build(who: Actor, name: str = "debian-13") -> NodeImage:
    build_image(who, name=name)
    return NodeImage.objects.get(image__name=name)


def _again(row: NodeImage) -> NodeImage:
    return NodeImage.objects.get(pk=row.pk)


def _operation(row: NodeImage) -> Operation:
    assert row.operation_id is not None
    return Operation.objects.get(pk=row.operation_id)


def test_a_build_is_one_operation_with_steps_and_progress(
    here: Node, sent: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        row = _build(administrator())
    ((to, spec),) = sent
    assert (to, spec.id, spec.work.kind, spec.about.id) == (here.name, row.operation_id, "build", "debian-13")
    assert row.state == NodeImageState.WAITING
    job_reported(row.operation, steps=(STEP,), progress=0.25, message="Unpacking.")
    row = _again(row)
    assert (row.state, row.progress, row.said) == (NodeImageState.BUILDING, 0.25, "Unpacking.")
    operation = _operation(row)
    assert (operation.state, operation.progress, operation.doing) == ("running", 0.25, "Unpacking.")
    assert operation.steps[0]["name"] == "image tree"
    job_reported(row.operation, JobOutcome.SUCCEEDED, progress=1.0, bytes=7, message="Built.")
    row = _again(row)
    assert (row.state, row.bytes, row.said) == (NodeImageState.READY, 7, "Built.")
    assert _operation(row).state == "succeeded"
    assert AuditRecord.objects.filter(action="image.build").exists()


def test_it_is_shown_by_the_api_with_its_subject_and_to_nobody_else(here: Node, client: Client) -> None:
    who, row = administrator(), _build(administrator())
    headers, image = bearer(who, None, "*"), str(row.image_id)
    told = client.get(f"/api/v1/operations/{row.operation_id}", headers=headers).json()
    assert told["subject"] == {"type": "image", "id": image, "name": "debian-13"}
    assert (told["environment"], told["environment_name"], told["tenant"]) == (None, "", None)
    assert (told["kind"], told["details"]) == ("build", {"node": here.name})
    query = f"subject_type=image&subject={image}"
    found = client.get(f"/api/v1/operations?{query}", headers=headers).json()["items"]
    assert [one["id"] for one in found] == [str(row.operation_id)]
    assert client.get("/api/v1/operations?subject_type=tenant", headers=headers).json()["items"] == []
    assert client.get("/api/v1/operations?subject_type=x", headers=headers).status_code == 422
    assert client.get(f"/api/v1/operations?subject={image}", headers=headers).status_code == 422
    customer = tenant()
    owner = bearer(member(customer), customer, "operation.view", "operation.control")
    assert client.get(f"/api/v1/operations?{query}", headers=owner).json()["items"] == []
    one = f"/api/v1/operations/{row.operation_id}"
    assert client.get(one, headers=owner).status_code == 404
    for verb in ("retry", "cancel"):
        answer = client.post(f"{one}/{verb}", content_type="application/json", headers=owner)
        assert answer.status_code == 404


def test_the_pages_show_it(here: Node, client: Client) -> None:
    row = _build(administrator())
    job_reported(row.operation, steps=(STEP,), progress=0.5)
    client.force_login(administrator().user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/operations/{row.operation_id}/").content.decode()
    assert "build of its tree" in page
    assert f"/operations/{row.operation_id}/cancel" in page
    assert f"/operations/{row.operation_id}/" in client.get("/images/").content.decode()
    job_reported(row.operation, JobOutcome.SUCCEEDED)
    assert "debian-13" in client.get("/operations/?about=image").content.decode()
    assert "debian-13" not in client.get("/operations/?about=tenant").content.decode()


def test_a_failed_one_is_tried_again(here: Node) -> None:
    who, row = administrator(), _build(administrator())
    job_reported(row.operation, JobOutcome.FAILED, code="host_lacks", message="No mmdebstrap.")
    row, failed = _again(row), _operation(row)
    assert (row.state, row.code, failed.state, failed.code) == ("failed", "host_lacks", "failed", "host_lacks")
    newer = control.retry(who, failed.pk)
    assert newer is not None
    assert (newer.kind, newer.retry_of_id, _again(row).operation_id) == ("build", failed.pk, newer.pk)
    with pytest.raises(Conflict):
        control.retry(who, newer.pk)
    job_reported(newer, JobOutcome.SUCCEEDED)
    assert _again(row).state == NodeImageState.READY


def test_a_cancelled_one_stays_open_until_the_node_has_taken_it_back(here: Node) -> None:
    who, row = administrator(), _build(administrator())
    job_reported(row.operation, steps=(STEP,), progress=0.5)
    operation = control.cancel(who, _operation(row).pk)
    assert operation is not None
    assert (operation.is_open, operation.can_cancel) == (True, False)
    assert Job.objects.get(pk=operation.pk).asked.is_cancelled
    control.cancel(who, operation.pk)  # once more changes nothing
    job_reported(operation, JobOutcome.CANCELLED)
    operation.refresh_from_db()
    assert (operation.state, operation.message) == ("cancelled", f"Cancelled by {who.name}.")
    assert not NodeImage.objects.filter(pk=row.pk).exists(), "nothing of it is there"
    assert AuditRecord.objects.filter(action="operation.cancel", operation_id=operation.pk).exists()


def test_one_that_was_done_before_the_node_heard_of_the_cancel_has_succeeded(here: Node) -> None:
    row = _build(administrator())
    control.cancel(administrator(), _operation(row).pk)
    job_reported(row.operation, JobOutcome.SUCCEEDED)
    operation = _operation(row)
    assert (operation.state, operation.code, operation.message) == ("succeeded", "", "")
    assert _again(row).state == NodeImageState.READY


def test_a_cancelled_or_failed_rebuild_leaves_what_was(here: Node) -> None:
    row = _build(administrator())
    job_reported(row.operation, JobOutcome.SUCCEEDED)
    row = _build(administrator())
    control.cancel(administrator(), _operation(row).pk)
    job_reported(row.operation, JobOutcome.CANCELLED)
    assert (_again(row).state, _again(row).observed_revision) == (NodeImageState.READY, 1)
    with pytest.raises(Conflict):
        control.cancel(administrator(), _operation(row).pk)


def test_deleting_is_an_operation_and_takes_no_cancel(here: Node) -> None:
    who, row = administrator(), _build(administrator())
    job_reported(row.operation, JobOutcome.SUCCEEDED)
    delete_image(who, row.image_id)
    row = _again(row)
    assert row.state == NodeImageState.DELETING
    with pytest.raises(Conflict):
        control.cancel(who, _operation(row).pk)
    job_reported(row.operation, JobOutcome.FAILED, code="busy", message="Busy.")
    row = _again(row)
    assert (row.state, row.code) == (NodeImageState.FAILED, "busy")
    newer = control.retry(who, _operation(row).pk)
    job_reported(newer, JobOutcome.SUCCEEDED)
    assert not Image.objects.filter(name="debian-13").exists()
    assert Operation.objects.get(pk=row.operation_id).subject_name == "debian-13"
    with pytest.raises(Conflict):
        control.retry(who, row.operation_id)  # type: ignore[arg-type]


def test_a_newer_one_has_the_node_drop_the_older(here: Node) -> None:
    first = _build(administrator())
    second = _build(administrator())
    assert Job.objects.get(pk=first.operation_id).asked.is_cancelled
    job_reported(first.operation, JobOutcome.CANCELLED)
    assert _again(second).state == NodeImageState.WAITING, "the older one says nothing of the newer"
    job_reported(second.operation, JobOutcome.SUCCEEDED)
    assert _again(second).state == NodeImageState.READY


def test_nobody_of_a_tenant_has_them_built_again(here: Node) -> None:
    row = _build(administrator())
    job_reported(row.operation, JobOutcome.FAILED, code="broken", message="It broke.")
    for verb in (control.retry, control.cancel):
        with pytest.raises(NotFound):
            verb(member(tenant()), _operation(row).pk)


def test_reports_that_are_late_or_of_another_node_change_nothing(here: Node) -> None:
    other = node()
    build_image(administrator(), name="debian-13")
    row = NodeImage.objects.get(node=here, image__name="debian-13")
    job_reported(row.operation, steps=(STEP,), progress=0.5)
    assert not job_reported(row.operation, steps=(STEP,), progress=0.1, sequence=1)
    assert not job_reported(row.operation, JobOutcome.SUCCEEDED, node=other.name)
    assert _operation(row).progress == 0.5
    assert job_reported(row.operation, JobOutcome.SUCCEEDED)
    assert not job_reported(row.operation, JobOutcome.FAILED, code="x")
    assert _operation(row).state == "succeeded"


def _aged(row: NodeImage, **times: timedelta) -> None:
    now = timezone.now()
    Job.objects.filter(pk=row.operation_id).update(**{name: now - ago for name, ago in times.items()})


def test_what_no_node_was_heard_of_is_sent_again_until_it_has_ended(
    here: Node, sent: Any, django_capture_on_commit_callbacks: Any
) -> None:
    row = _build(administrator())
    with django_capture_on_commit_callbacks(execute=True):
        assert tasks.resend() == 0
        _aged(row, sent_at=timedelta(seconds=5))
        assert tasks.resend() == 1
        assert tasks.resend() == 0
    assert sent[-1][1].id == row.operation_id
    job_reported(row.operation, JobOutcome.SUCCEEDED)
    _aged(row, sent_at=timedelta(days=1), heard_at=timedelta(days=1))
    assert tasks.resend() == 0


def test_with_the_broker_away_it_is_sent_as_soon_as_that_is_back(
    here: Node, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(dispatch, "_send", lambda *_: False)
    with django_capture_on_commit_callbacks(execute=True):
        _build(administrator())
    monkeypatch.setattr(dispatch, "_send", lambda *_: True)
    assert tasks.resend() == 1


@pytest.mark.parametrize(("is_silent", "code"), [(True, "node_silent"), (False, "deadline_passed")])
def test_past_its_deadline_it_has_failed_and_says_when_it_is_done_after_all(
    here: Node, is_silent: bool, code: str
) -> None:
    row = _build(administrator())
    past = timezone.now() - timedelta(seconds=1)
    Operation.objects.filter(pk=row.operation_id).update(deadline=past)
    if is_silent:
        Node.objects.update(last_seen_at=past - timedelta(hours=1))
    assert tasks.end_overdue() == 1
    assert (_operation(row).state, _operation(row).code) == ("failed", code)
    job_reported(row.operation, JobOutcome.SUCCEEDED)
    assert (_operation(row).state, _operation(row).code) == ("succeeded", "")


def test_who_waited_for_his_turn_has_his_time_from_then_on(here: Node) -> None:
    row = _build(administrator())
    operation = _operation(row)
    ago = timedelta(hours=1)
    Operation.objects.filter(pk=operation.pk).update(
        created_at=operation.created_at - ago, deadline=operation.deadline - ago
    )
    job_reported(row.operation, steps=(STEP,))
    assert _operation(row).deadline >= operation.deadline
