"""F01, F05: every WebSocket route, opened by everybody, for own, foreign and missing things, from anywhere."""

import uuid
from collections.abc import Iterator

import pytest
from django.db import transaction

from panel.config.asgi import _routes
from tests.panel.security.sockets import REFUSED, handshake, run, socket
from tests.panel.security.world import ROLES, World, make_world

pytestmark = pytest.mark.django_db

_GONE, _SHUT = 4404, 4401
_NOT_TYPING = {"anonymous": _SHUT, "viewer": _SHUT, "billing": _GONE}
#: Close codes by route and role for own things; 0 (accepted) where none is named.
TABLE: dict[str, dict[str, int]] = {
    "ws/events": {"anonymous": _SHUT},
    "ws/environments/<uuid:environment_id>/console": _NOT_TYPING,
    "ws/environments/<environment_id>/terminals/<name>": _NOT_TYPING,
}


def _simple(pattern: str) -> str:
    """A regular expression's named groups as `<name>`, the rest as it is written."""
    import re

    text = pattern.removeprefix("^").removesuffix("$")
    return re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", text)


PATTERNS = [_simple(str(route.pattern)) for route in _routes]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: object) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():  # type: ignore[attr-defined]
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture
def _django_db_helper() -> None:
    """Instead of a transaction for each test: all of them share the world's."""


def _path(pattern: str, environment: str) -> str:
    named = pattern.replace("<uuid:environment_id>", environment).replace("<environment_id>", environment)
    return "/" + named.replace("<name>", "main")


def test_every_route_is_in_the_table() -> None:
    assert set(PATTERNS) == set(TABLE)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_everybody_gets_what_the_table_says(pattern: str, world: World) -> None:
    for role in ROLES:
        made = socket(_path(pattern, world.own.ids["environment"]), world.client(role))
        assert run(handshake, made) == TABLE[pattern].get(role, 0), f"{pattern} as {role}"


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if "<" in p])
def test_what_is_foreign_looks_like_what_is_missing(pattern: str, world: World) -> None:
    for role in ("viewer", "operator", "administrator", "owner"):
        for environment in (world.other.ids["environment"], str(uuid.uuid4())):
            made = socket(_path(pattern, environment), world.client(role))
            assert run(handshake, made) == _GONE, f"{pattern} as {role}"


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "http://testserver.evil.example",
        "http://testserver:81",
        "https://testserver",
        "http://testserver@evil.example",
        "http://nottestserver",
    ],
)
def test_a_page_of_somebody_else_gets_no_socket(pattern: str, origin: str | None, world: World) -> None:
    """F05: refused before the handshake is over, whatever cookie comes along."""
    made = socket(_path(pattern, world.own.ids["environment"]), world.client("owner"), origin=origin)
    assert run(handshake, made) == REFUSED
