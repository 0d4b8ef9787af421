"""F22: whoever has the keys of one node says nothing in the name of another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from panel.environments.models import Environment
from panel.environments.tasks import observe
from panel.images.models import NodeImage
from panel.images.services import build_image
from panel.jobs.tasks import observe as observe_job
from panel.metering.tasks import observe_usage
from panel.nodes.models import Node
from panel.nodes.tasks import observe_node
from runtime.contract import (
    PANEL_OBSERVE,
    PANEL_OBSERVE_JOB,
    PANEL_OBSERVE_NODE,
    PANEL_OBSERVE_USAGE,
    InterfaceUse,
    JobOutcome,
    JobReport,
    Message,
    ObservedState,
    Sealed,
    Usage,
    UsageReport,
)
from tests.panel.support.factories import administrator, environment, node, node_report, tenant
from tests.panel.support.reports import report_of

pytestmark = pytest.mark.django_db
#: Later than anything that the factories reported.
LATER = 2 * 10**18
KEYS = {"alpha": b"key of alpha", "beta": b"key of beta"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a panel that knows both nodes."""
    (tmp_path / "etc" / "nodes").mkdir(parents=True)
    for name, key in KEYS.items():
        (tmp_path / "etc" / "nodes" / f"{name}.key").write_bytes(key + b"\n")
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))
    return tmp_path


@pytest.fixture
def row() -> Environment:
    """An environment on beta."""
    node("beta")
    return environment(tenant())


def _sealed(report: Message, task: str, *, by: str, key: bytes | None = None) -> dict[str, Any]:
    made = Sealed.of(report.model_dump(mode="json"), task=task, node=by, key=key or KEYS[by])
    return made.model_dump(mode="json")


def _state(row: Environment) -> tuple[Any, ...]:
    row.refresh_from_db()
    return row.observed_state, row.observed_generation, row.heard_at


def test_its_own_node_is_believed(row: Environment) -> None:
    observe(_sealed(report_of(row, LATER + 1, state=ObservedState.PAUSED), PANEL_OBSERVE, by="beta"))
    assert _state(row)[0] == ObservedState.PAUSED


def _in_the_name_of_beta(report: Message, task: str) -> list[Any]:
    """All that somebody with the key of alpha can make of it."""
    real = _sealed(report, task, by="beta")
    return [
        _sealed(report, task, by="alpha"),
        _sealed(report, task, by="beta", key=KEYS["alpha"]),
        {**_sealed(report, task, by="alpha"), "node": "beta"},
        {**real, "text": real["text"].replace("beta", "alpha")},
        {**real, "seal": "0" * 64},
        {**real, "seal": ""},
        {**real, "node": "../nodes/beta"},
        {key: value for key, value in real.items() if key != "seal"},
        report.model_dump(mode="json"),
        None,
        [],
        real["text"],
    ]


@pytest.mark.parametrize("number", range(12))
def test_a_stolen_node_changes_nothing_of_another(row: Environment, number: int) -> None:
    before = _state(row)
    gone = report_of(row, LATER + 5, state=ObservedState.DELETED)
    observe(_in_the_name_of_beta(gone, PANEL_OBSERVE)[number])
    assert _state(row) == before


@pytest.mark.parametrize("number", range(12))
def test_nor_its_facts_its_use_and_its_images(row: Environment, number: int) -> None:
    seen = Node.objects.get(name="beta")
    poor = node_report("beta", memory_bytes=1)
    usage = UsageReport(
        node="beta",
        at=poor.at,
        usages=(Usage(environment_id=row.pk, interfaces=(InterfaceUse(out_bytes=10**15),)),),
    )
    build_image(administrator(), name="debian-13")
    image = NodeImage.objects.get(node=seen, image__name="debian-13")
    assert image.operation is not None
    asked = image.operation.jobs.get().asked
    done = JobReport(
        node="beta", id=asked.id, about=asked.about, sequence=LATER, at=poor.at, outcome=JobOutcome.SUCCEEDED
    )
    said: tuple[tuple[Callable[[Any], None], Message, str], ...] = (
        (observe_node, poor, PANEL_OBSERVE_NODE),
        (observe_usage, usage, PANEL_OBSERVE_USAGE),
        (observe_job, done, PANEL_OBSERVE_JOB),
    )
    for take, report, task in said:
        take(_in_the_name_of_beta(report, task)[number])
    now = Node.objects.get(name="beta")
    assert (now.facts, now.last_seen_at) == (seen.facts, seen.last_seen_at)
    assert not hasattr(row, "usage")
    image.refresh_from_db()
    assert (image.observed_revision, image.operation.state) == (0, "pending")


def test_a_seal_is_on_one_kind_of_report_only(row: Environment) -> None:
    before = _state(row)
    observe(_sealed(report_of(row, LATER + 1), PANEL_OBSERVE_NODE, by="beta"))
    assert _state(row) == before


def test_a_node_that_nobody_let_in_registers_nothing(row: Environment) -> None:
    observe_node(_sealed(node_report("gamma"), PANEL_OBSERVE_NODE, by="gamma", key=b"its own"))
    observe_node(_sealed(node_report("gamma"), PANEL_OBSERVE_NODE, by="alpha"))
    assert not Node.objects.filter(name="gamma").exists()


def test_an_empty_key_is_none(row: Environment, home: Path) -> None:
    (home / "etc" / "nodes" / "beta.key").write_bytes(b"\n")
    before = _state(row)
    observe(_sealed(report_of(row, LATER + 1), PANEL_OBSERVE, by="beta", key=b""))
    assert _state(row) == before


def test_an_exchanged_key_is_good_at_once_and_the_old_one_no_more(row: Environment, home: Path) -> None:
    (home / "etc" / "nodes" / "beta.key").write_bytes(b"newer")
    observe(_sealed(report_of(row, LATER + 1, restarts=1), PANEL_OBSERVE, by="beta", key=b"newer"))
    observe(_sealed(report_of(row, LATER + 2, restarts=2), PANEL_OBSERVE, by="beta"))
    row.refresh_from_db()
    assert (row.observed_sequence, row.restarts) == (LATER + 1, 1)
