"""Every field of every route gets what nobody should send: no mistake of ours, and a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client

from tests.panel.security import attacks, walk
from tests.panel.security.world import World, make_world

pytestmark = pytest.mark.django_db
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
DOCUMENT = attacks.description()


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: object) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():  # type: ignore[attr-defined]
        yield make_world()
        transaction.set_rollback(True)


@pytest.fixture
def _django_db_helper() -> None:
    """Instead of a transaction for each test: all of them share the world's."""


@pytest.fixture
def client(world: World) -> Client:
    found = world.client("platform")
    found.raise_request_exception = False
    return found


def send(
    client: Client, method: str, path: str, body: bytes = b"", kind: str = _JSON, **headers: str
) -> HttpResponse:
    """One request, undone afterwards."""
    with transaction.atomic():
        answer = client.generic(method, path, body, content_type=kind if body else "", headers=headers or None)
        transaction.set_rollback(True)
    return answer


def wrong(answer: HttpResponse, what: str, *, refused: bool = False) -> list[str]:
    """What is wrong with an answer; `refused`: it may not have been taken."""
    text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
    if answer.status_code >= 500 and "node_away" not in text:
        return [f"{what}: {answer.status_code} {text[:200]}"]
    if refused and answer.status_code < 400:
        return [f"{what}: taken, {answer.status_code} {text[:120]}"]
    if answer.status_code >= 400 and answer.status_code != 405:
        if answer.get("Content-Type", "") == "application/problem+json":
            text = json.loads(text)["detail"]
        if not attacks.is_a_sentence(text):
            return [f"{what}: {answer.status_code} says {text[:200]!r}"]
    return []


def operations() -> Iterator[tuple[str, walk.Route, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        route = walk.routes()[path.replace("{", "<").replace("}", ">")]
        for method, operation in methods.items():
            yield method.upper(), route, operation


def body_of(method: str, route: walk.Route, ids: dict[str, str]) -> dict[str, Any]:
    ids = {**ids, "tomorrow": "2099-01-01T00:00:00Z"}
    known = walk.BODIES.get(f"{method} {route.pattern}", {})
    return {key: one.format(**ids) if isinstance(one, str) else one for key, one in known.items()}


def json_schema(operation: dict[str, Any]) -> dict[str, Any] | None:
    kinds = operation.get("requestBody", {}).get("content", {})
    return kinds[_JSON]["schema"] if _JSON in kinds else None


def told(found: list[str]) -> None:
    assert not found, f"{len(found)}\n" + "\n".join(found)


def test_no_field_of_a_body_breaks_the_api(client: Client, world: World) -> None:
    found, ids = [], world.values(world.own)
    for method, route, operation in operations():
        schema = json_schema(operation)
        if schema is None:
            continue
        path, body = route.path(ids), body_of(method, route, ids)
        for field, of in attacks.fields(schema, DOCUMENT):
            what = f"{method} {route.pattern} {'.'.join(field)}"
            for name, token, refused in _tokens(of, what):
                answer = send(client, method, path, attacks.with_token(body, field, token))
                found += wrong(answer, f"{what}: {name}", refused=refused)
    told(found)


def _tokens(of: dict[str, Any], place: str) -> Iterator[tuple[str, str, bool]]:
    """A name, JSON text, and whether it may never be taken."""
    kind = str(of.get("type"))
    for name, text in attacks.in_turn(list(attacks.UNUSABLE.items()), place, 2):
        yield name, json.dumps(text), True
        if kind == "array":
            yield f"{name} in a list", json.dumps([text]), True
    for name, token in attacks.in_turn(list(attacks.TOKENS.items()), place, 2):
        yield name, token, False
    if kind in ("string", "array"):
        for name, text in attacks.in_turn(list(attacks.ODD.items()), place, 2):
            yield name, json.dumps([text] if kind == "array" else text), False
    if kind in ("integer", "number", "string"):
        yield "true", "true", True
    if kind == "boolean":
        yield "a number for true", "1", True


def test_no_body_breaks_the_api(client: Client, world: World) -> None:
    found, ids = [], world.values(world.own)
    for method, route, operation in operations():
        if json_schema(operation) is not None:
            what = f"{method} {route.pattern}"
            for name, (body, kind) in attacks.in_turn(list(attacks.BODIES.items()), what, 6):
                answer = send(client, method, route.path(ids), body, kind)
                found += wrong(answer, f"{what}: {name}", refused=True)
    told(found)


def test_no_query_breaks_the_api(client: Client, world: World) -> None:
    found, ids = [], world.values(world.own)
    for method, route, operation in operations():
        path, what = route.path(ids), f"{method} {route.pattern}"
        known = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
        for parameter in known:
            odd = attacks.in_turn(list(attacks.ODD.items()), f"{what} {parameter}", 3)
            for name, text in (("NUL", "a\0"), *odd):
                answer = send(client, method, f"{path}?{urlencode({parameter: text})}")
                found += wrong(answer, f"{what}?{parameter}={name}", refused=name == "NUL")
            answer = send(client, method, f"{path}?{parameter}=1&{parameter}=2")
            found += wrong(answer, f"{what} {parameter} twice", refused=parameter != "tag")
        for odd_query in ("tennant=x", *attacks.in_turn(("%00=1", "=", "%", "%FF=1", "a[]=1"), what, 1)):
            answer = send(client, method, f"{path}?{odd_query}")
            found += wrong(answer, f"{what}?{odd_query}", refused=True)
    told(found)


def test_no_path_breaks_anything(client: Client, world: World) -> None:
    found, ids = [], world.values(world.own)
    for route in walk.routes().values():
        for method in sorted(route.methods) or ["GET", "POST"]:
            for part in dict.fromkeys(route.parts):
                mark = f"@@{part}@@"
                path, what = route.path({**ids, part: mark}), f"{method} {route.pattern} {part}"
                for odd in ("%00", *attacks.in_turn(attacks.ENCODED, what, 2)):
                    answer = send(client, method, path.replace(mark, odd))
                    found += wrong(answer, f"{what} {odd[:20]}")
    for place in "/{} /static/{} /static/css/{} /api/{} /api/v1/{} /accounts/{} /environments/{} /{}/x".split():
        for odd in attacks.ENCODED:
            found += wrong(send(client, "GET", place.format(odd)), f"GET {place} {odd[:20]}")
    told(found)


def test_no_header_breaks_anything(client: Client, world: World) -> None:
    found = []
    for path, method, body in (
        (f"/api/v1/environments/{world.own.ids['environment']}", "PATCH", b'{"description": "x"}'),
        ("/api/v1/environments", "POST", b'{"name": "x"}'),
        ("/environments/", "GET", b""),
        ("/accounts/login/", "GET", b""),
        ("/i18n/setlang/", "POST", b"language=en"),
        ("/metrics", "GET", b""),
        ("/nowhere", "GET", b""),
    ):
        kind = _JSON if body.startswith(b"{") else _FORM
        for header in attacks.HEADERS:
            for odd in attacks.in_turn(attacks.IN_HEADERS, f"{path} {header}", 3):
                what = f"{method} {path} {header}: {odd[:20]!r}"
                found += wrong(send(client, method, path, body, kind, **{header: odd}), what)
    told(found)


def test_no_form_breaks_a_page(client: Client, world: World) -> None:
    found, ids = [], world.values(world.own)
    seen = set[tuple[str, str, tuple[str, ...]]]()
    for who in (client, Client(raise_request_exception=False)):
        for route in walk.routes().values():
            if route.methods:
                continue
            path = route.path(ids)
            page = send(who, "GET", path)
            text = page.content.decode() if page.status_code == 200 and not page.streaming else ""
            there = [(m, a or path, f) for m, a, f in attacks.forms(text) if (a or path).startswith("/")]
            there.append(("post", path, {k: str(v) for k, v in body_of("POST", route, ids).items()}))
            for method, action, fields in there:
                key = (method, action, tuple(sorted(fields)))
                if key not in seen:
                    seen.add(key)
                    found += _attack_form(who, method, action, fields)
    told(found)


def _attack_form(client: Client, method: str, action: str, fields: dict[str, str]) -> list[str]:
    found = []
    for field in fields:
        place = f"{method} {action} {field}"
        for name, text in (("NUL", "a\0"), *attacks.in_turn(list(attacks.ODD.items()), place, 1)):
            data = urlencode({**fields, field: text})
            if method == "get":
                answer = send(client, "GET", f"{action.partition('?')[0]}?{data}")
            else:
                answer = send(client, "POST", action, data.encode(), _FORM)
            found += wrong(answer, f"{place}: {name}", refused=name == "NUL")
    return found
