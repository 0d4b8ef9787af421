"""G01: every operation of the API with generated input, in three roles: no 5xx, nothing that the description
doesn't say, nothing of another tenant.

As many cases as CI has time for. A long run: `WADAH_FUZZ_CASES=120 pytest tests/panel/security/test_api_fuzz.py
--timeout 7200` makes about 10,000 requests a role.
"""

import json
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings

from panel.api.root import api
from tests.panel.security.walk import routes
from tests.panel.security.world import World, make_world

pytestmark = pytest.mark.django_db
CASES = int(os.environ.get("WADAH_FUZZ_CASES", "1"))
#: What the node, which isn't there, makes of a good request.
_AWAY = {"node_away"}


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: object) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():  # type: ignore[attr-defined]
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture
def _django_db_helper() -> None:
    """Instead of a transaction for each test: all of them share the world's."""


def _operations() -> list[Any]:
    document = json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))
    schema = schemathesis.openapi.from_dict(document)
    return [found.ok() for found in schema.get_all_operations()]


def _path(case: Any, world: World, number: int) -> str:
    """With our own ids, with foreign ones, and with what was generated, in turn."""
    pattern = case.path.replace("{", "<").replace("}", ">")
    route = routes()[pattern]
    side = (world.own, world.other, None)[number % 3]
    if side is not None:
        return route.path({**world.values(side), **dict.fromkeys(("name", "key"), "x")})
    return str(case.formatted_path)


def _send(client: Client, case: Any, path: str) -> HttpResponse:
    body: Any = case.body
    content = b"" if not isinstance(body, dict | list | str | int | float | bool) else json.dumps(body).encode()
    with transaction.atomic():
        answer = client.generic(
            case.method, path, content, content_type="application/json", query_params=dict(case.query or {})
        )
        transaction.set_rollback(True)
    return answer


def _holds(case: Any, role: str, client: Client, world: World, path: str) -> None:
    documented = {str(status) for status in case.operation.definition.raw["responses"]} | {"405"}
    answer = _send(client, case, path)
    text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
    which = f"{role}: {case.method} {path} {case.query} {case.body!r}: {answer.status_code} {text[:300]}"
    is_away = answer.status_code == 503 and json.loads(text)["code"] in _AWAY
    assert answer.status_code < 500 or is_away, which
    assert is_away or str(answer.status_code) in documented, f"undocumented: {which}"
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json", which
    if role != "platform" and answer.status_code < 300:
        told = [mark for mark in world.other.marks if len(mark) > 8 and mark in text]
        assert not told, f"{which} tells {told}"


def _check(clients: dict[str, Client], world: World, operation: Any) -> None:
    """Each case by each role: to think of it takes as long as to answer it."""
    numbers = count()

    @given(case=operation.as_strategy())
    @settings(
        max_examples=CASES * 3,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def holds(case: Any) -> None:
        path = _path(case, world, next(numbers))
        for role, client in clients.items():
            _holds(case, role, client, world, path)

    holds()


PARTS = 2


@pytest.mark.parametrize("part", range(PARTS))
def test_no_input_breaks_the_api(part: int, world: World) -> None:
    clients = {role: world.client(role) for role in ("viewer", "owner", "platform")}
    for operation in _operations()[part::PARTS]:
        _check(clients, world, operation)
