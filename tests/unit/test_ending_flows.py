"""Notes of flows that are still to be ended, taken while others write theirs."""

import uuid
from pathlib import Path

import pytest

from runtime.host import conntrack
from runtime.network import elements
from runtime.node import Node, default_settings
from runtime.resources.flows import EndingFlows

GONE = {"source": [["10.0.0.1"]]}


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EndingFlows:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(elements, "ways_in", lambda gone: ({"10.0.0.1"}, set()) if gone else (set(), set()))
    monkeypatch.setattr(conntrack, "end", lambda addresses, forwards: len(addresses))
    return EndingFlows(Node(tmp_path, default_settings(tmp_path)))


def test_nothing_was_noted(flows: EndingFlows) -> None:
    assert flows.end() == 0


def test_what_was_noted_is_ended_once(flows: EndingFlows) -> None:
    flows.note(uuid.uuid4(), GONE)  # type: ignore[arg-type]
    assert (flows.end(), flows.end()) == (1, 0)


def test_a_note_that_is_just_written_stays(flows: EndingFlows, tmp_path: Path) -> None:
    """Somebody writes beside it and renames it then: taken away from him, his own deletion failed."""
    flows.note(uuid.uuid4(), GONE)  # type: ignore[arg-type]
    half = tmp_path / "run" / "flows" / f"{uuid.uuid4()}.123.456.new"
    half.write_text("{")
    assert flows.end() == 1
    assert half.exists()
