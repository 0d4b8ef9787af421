"""F01: every route and method, asked by everybody, for own, foreign and missing things."""

import os
from collections.abc import Iterator

import pytest
from django.db import transaction
from django.utils import timezone

from panel.nodes.models import Node
from tests.panel.security.walk import (
    METHODS,
    TABLE,
    Line,
    Route,
    ask,
    body_without,
    routes,
    seen,
    table,
)
from tests.panel.security.world import ROLES, Side, World, make_world

#: So that pytest-django makes the database; the world's own transaction stands for those of the tests.
pytestmark = pytest.mark.django_db

#: Pages of django-allauth answer PUT as they do POST, and the API's description answers anything.
_THIRD_PARTY = ("/accounts/", "/i18n/", "/api/v1/openapi.json", "/api/v1/")


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: object) -> Iterator[World]:
    """Made once; each request of the walk is undone."""
    with django_db_blocker.unblock(), transaction.atomic():  # type: ignore[attr-defined]
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def heard_of(world: World) -> None:
    """The walk takes longer than a node may be silent."""
    Node.objects.filter(pk=world.node.pk).update(last_seen_at=timezone.now())


@pytest.fixture
def _django_db_helper() -> None:
    """Instead of a transaction for each test: all of them share the world's."""


def lines_of(route: Route) -> list[Line]:
    return [line for line in table().values() if line.pattern == route.pattern]


def test_every_route_is_in_the_table() -> None:
    named = {line.pattern for line in table().values()}
    missing = sorted(set(routes()) - named)
    gone = sorted(named - set(routes()))
    assert not missing, f"walk these as well (see walk.py): {missing}"
    assert not gone, f"these lines lead nowhere: {gone}"
    for route in routes().values():
        if route.methods:
            assert {line.method for line in lines_of(route)} == route.methods, route.pattern


@pytest.mark.parametrize("pattern", list(routes()))
def test_everybody_gets_what_the_table_says(pattern: str, world: World) -> None:
    route = routes()[pattern]
    ids = world.values(world.own)
    wrong = []
    for line in lines_of(route):
        for role in ROLES:
            answer = ask(world.client(role), line.method, route, ids)
            got = seen(answer)
            if got != line.answers[role]:
                wrong.append(f"{line.method} {route.pattern} as {role}: {got}, not {line.answers[role]}")
            if role not in ("anonymous", "platform"):
                text = body_without(answer, {})
                told = [mark for mark in world.other.marks if len(mark) > 3 and mark in text]
                assert not told, f"{line.key} tells {role} of another tenant: {told}"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "pattern", [p for p, r in routes().items() if set(r.names) - {"plan", "image", "node"}]
)
def test_what_is_foreign_looks_like_what_is_missing(pattern: str, world: World) -> None:
    """Own people asking for the other tenant's, and the other tenant's asking for ours."""
    route = routes()[pattern]
    for line in lines_of(route):
        for side, foreign in ((world.own, world.other), (world.other, world.own)):
            for role in ("viewer", "operator", "administrator", "owner"):
                for theirs, missing in _pairs(route, world, side, foreign):
                    got = ask(world.client(role, side), line.method, route, theirs)
                    none = ask(world.client(role, side), line.method, route, missing)
                    which = f"{line.key} as {role} of {side.tenant}"
                    is_forbidden_anyway = len(route.names) > 1 and seen(none) == "403"
                    assert seen(none) == "404" or is_forbidden_anyway, f"{which}: {seen(none)} for nothing"
                    assert seen(got) == seen(none), f"{which}: {seen(got)} for what is foreign"
                    assert body_without(got, theirs) == body_without(none, missing), which


def _pairs(
    route: Route, world: World, side: Side, foreign: Side
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Foreign ids and missing ones to compare: all of a route's, and each of several alone beside own ones."""
    own, theirs, none = world.values(side), world.values(foreign), {**world.shared, **world.missing()}
    yield theirs, none
    if len(route.names) > 1:
        for name in route.names:
            yield {**own, name: theirs[name]}, {**own, name: none[name]}


@pytest.mark.parametrize("pattern", list(routes()))
def test_other_methods_are_refused(pattern: str, world: World) -> None:
    route = routes()[pattern]
    if pattern.startswith(_THIRD_PARTY[:2]) or pattern in _THIRD_PARTY:
        pytest.skip("not ours")
    known = {line.method for line in lines_of(route)}
    for method in set(METHODS) - known:
        answer = ask(world.client("platform"), method, route, world.values(world.own))
        assert answer.status_code == 405, f"{method} {pattern}: {answer.status_code}"


@pytest.mark.skipif("WALK_WRITE" not in os.environ, reason="only when a table is asked for")
def test_write_the_table(world: World) -> None:
    """Asks each page with GET and POST, keeps the methods that aren't refused, and writes the table anew."""
    kept = TABLE.read_text().splitlines() if TABLE.exists() else []
    head = [text for text in kept if text.startswith("#")]
    lines = []
    for route in routes().values():
        for method in sorted(route.methods) or ("GET", "POST"):
            answers = {
                role: seen(ask(world.client(role), method, route, world.values(world.own))) for role in ROLES
            }
            if set(answers.values()) != {"405"}:
                lines.append(Line(method, route.pattern, answers).text())
    TABLE.write_text("\n".join([*head, *lines]) + "\n")
