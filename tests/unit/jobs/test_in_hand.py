"""However often a job is asked for, one message about it waits for its turn, and the panel hears of that."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime import worker
from runtime.contract import (
    DeleteImage,
    ImageSource,
    ImageSpec,
    JobReport,
    JobSpec,
    KeepVolume,
    Subject,
    SubjectType,
)
from runtime.jobs import process
from runtime.jobs.in_hand import InHand
from runtime.jobs.records import JobRecords
from runtime.jobs.runner import NotYet
from runtime.node import Node
from runtime.places import Places
from tests.unit.engine.paper import paper_node

JOB = uuid.uuid4()


def test_one_is_in_hand_until_it_ends() -> None:
    hand = InHand()
    assert hand.take(JOB)
    assert not hand.take(JOB)
    assert not hand.take(JOB, has_waited=True), "nor for a second message that waited"
    hand.ends(JOB)
    assert hand.take(JOB)


def test_who_waits_is_in_hand_for_its_own_message_alone() -> None:
    hand = InHand()
    assert hand.take(JOB)
    hand.waits(JOB)
    assert not hand.take(JOB)
    assert hand.take(JOB, has_waited=True)


def test_one_whose_message_was_lost_is_taken_up_again() -> None:
    hand = InHand(lost_s=0)
    assert hand.take(JOB)
    hand.waits(JOB)
    assert hand.take(JOB)


class Slow:
    """The slow worker, and what it hands over and tells."""

    def __init__(self, node: Node):
        self.spec = JobSpec(
            node=node.name,
            id=uuid.uuid4(),
            operation_id=uuid.uuid4(),
            about=Subject(type=SubjectType.IMAGE, id="paper"),
            work=DeleteImage(image=ImageSpec(node=node.name, name="paper", source=ImageSource.BUSYBOX)),
        )
        self.handed: list[tuple[Any, ...]] = []
        self.told: list[JobReport] = []
        self.done: list[JobSpec] = []
        self.act: Callable[[], object] = lambda: None

    def do_apart(self, _node: Node, spec: JobSpec, _tell: object) -> None:
        self.act()
        self.done.append(spec)

    def hand_over(self, _task: str, *arguments: Any) -> bool:
        self.handed.append(arguments)
        return True

    def ask(self, *more: Any, **changes: Any) -> None:
        worker.do(self.spec.model_copy(update=changes).model_dump(mode="json"), *more)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    with paper_node(tmp_path / "home") as (node, _):
        made = Slow(node)
        monkeypatch.setattr(process, "do_apart", made.do_apart)
        monkeypatch.setattr(worker, "hand_over", made.hand_over)
        monkeypatch.setattr(worker, "_tell", made.told.append)
        monkeypatch.setattr(worker, "IN_HAND", InHand())
        monkeypatch.setattr(worker, "SLOW_TURN_S", 0)
        monkeypatch.setattr(worker, "_slow", True)
        monkeypatch.setattr(worker, "_node", node)
        yield made


def _not_yet() -> None:
    raise NotYet


def test_what_is_asked_for_again_while_it_waits_adds_no_message(slow: Slow) -> None:
    slow.act = _not_yet
    slow.ask()
    for _ in range(5):
        slow.ask()
    assert len(slow.handed) == 1
    (report,) = slow.told
    assert (report.id, report.outcome, report.message.code) == (slow.spec.id, None, "jobs.waiting_for_another")
    slow.ask(*slow.handed.pop()[1:])
    assert len(slow.handed) == 1
    assert len(slow.told) == 1, "once is enough"
    slow.act = lambda: None
    slow.ask(*slow.handed.pop()[1:])
    assert [one.id for one in slow.done] == [slow.spec.id]
    slow.ask()
    assert len(slow.done) == 2, "one that has ended may be asked about again"


def test_one_that_is_at_work_hears_of_a_cancel_and_is_not_begun_twice(slow: Slow) -> None:
    slow.act = lambda: slow.ask(generation=2)
    slow.ask()
    assert [one.generation for one in slow.done] == [1]
    kept = JobRecords(worker.this_node(), slow.spec.id).wanted()
    assert kept is not None
    assert kept.is_cancelled


def test_one_that_fails_by_a_fault_of_ours_is_not_in_hand_for_ever(slow: Slow) -> None:
    def fault() -> None:
        raise OSError("no process")

    slow.act = fault
    with pytest.raises(OSError, match="no process"):
        slow.ask()
    slow.act = lambda: None
    slow.ask()
    assert len(slow.done) == 1


def _volume(tenant: UUID) -> dict[str, Any]:
    volume = uuid4()
    about = Subject(type=SubjectType.VOLUME, id=str(volume))
    work = KeepVolume(volume_id=volume, tenant_id=tenant, size_mb=64)
    return {"id": uuid4(), "about": about, "work": work}


def test_one_tenants_jobs_leave_places_to_others(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a process, and a thread that else stops and restores environments: as many as he asked for."""
    monkeypatch.setattr(worker, "JOBS", Places(4, 2))
    his, other = uuid4(), uuid4()
    more = [_volume(his), _volume(his), _volume(other), {}]

    def meanwhile() -> None:
        while more:
            slow.ask(**more.pop(0))

    slow.act = meanwhile
    slow.ask(**_volume(his))
    waiting = [one[0]["work"]["tenant_id"] for one in slow.handed]
    assert waiting == [str(his)]
    assert len(slow.done) == 4, "two of his, the other's, and the installation's own"
