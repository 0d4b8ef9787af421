"""Lines of a log are asked for by stream, time and words; what is none of these is refused."""

import time
from typing import Any

import pytest
from django.test import Client

from panel.clock.ago import moment_of
from panel.environments.models import Environment
from panel.nodes.agent import Agent
from runtime.agent.app import LinesAsked
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def ask(row: Environment, headers: dict[str, str] | None = None, **query: str) -> Any:
    headers = headers or factories.bearer(factories.administrator(), None, "*")
    return Client().get(f"/api/v1/environments/{row.pk}/logs", query, headers=headers)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"stream": "both"}, "stream"),
        ({"since": "yesterday"}, "since"),
        ({"since": "10y"}, "since"),
        ({"since": "99999999m"}, "since"),
        ({"until": "yesterday"}, "until"),
        ({"until": "99999999m"}, "until"),
        ({"tail": "-1"}, "tail"),
        ({"tail": "100001"}, "tail"),
        ({"tail": "all"}, "tail"),
        ({"grep": "a" * 201}, "grep"),
        ({"grep": "a\nb"}, "grep"),
        ({"follow": "live"}, "follow"),
    ],
)
def test_what_cant_be_asked_is_refused_by_its_name(row: Environment, query: Any, field: str) -> None:
    answer = ask(row, **query)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_stranger_finds_nothing(row: Environment) -> None:
    other = factories.tenant()
    assert ask(row, factories.bearer(factories.member(other), other, role="owner")).status_code == 404


def test_the_node_is_asked_for_what_was_asked(row: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def log_lines(_agent: Agent, _pk: Any, some: Any, **_who: Any) -> Any:
        asked.append(LinesAsked.model_validate(some))

        async def pieces() -> Any:
            yield b""

        return pieces()

    monkeypatch.setattr(Agent, "log_lines", log_lines)
    assert ask(row, tail="2", until="1970-01-01T00:01:00Z", since="1970-01-01T00:00:01Z").status_code == 200
    assert ask(row, tail="0").status_code == 200
    assert ask(row).status_code == 200
    assert [(one.since, one.until, one.tail) for one in asked] == [(1, 60, 2), (0, None, 0), (0, None, None)]


def test_a_moment_is_one_or_so_long_ago() -> None:
    assert moment_of("") == 0
    assert moment_of("1970-01-01T00:01:00Z") == moment_of("1970-01-01T00:01:00") == 60
    assert moment_of("1970-01-01T01:00:00+01:00") == 0
    assert abs(time.time() - 7200 - moment_of("2h")) < 60
