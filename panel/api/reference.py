"""The API's own description as something that a page can show: groups, calls, fields, examples.

Made from the OpenAPI document and from nothing else, so that the page can't say what the API doesn't.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from panel.api.root import api

#: Fields within fields are shown down to this depth; the document has the rest.
_DEEPEST = 3
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body: its dotted path, what it takes, and whether it must be given."""

    name: str
    type: str
    is_required: bool
    description: str = ""
    place: str = ""
    """`path`, `query` or `header` of a parameter; empty for a field of a body."""


@dataclass(frozen=True)
class Call:
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    example: str
    """A body that the API takes, as JSON; empty where it takes none."""
    answers: tuple[tuple[str, str], ...]
    """Status and what it means, those first that mean success."""
    answer: tuple[Field, ...] = field(default=())
    """Fields of the answer that means success."""

    def curl(self, url: str) -> str:
        """The call as a command line, to the panel at `url`, by a token in `$TOKEN`."""
        line = f'curl -X {self.method} "{url}{self.path}" -H "Authorization: Bearer $TOKEN"'
        if not self.example:
            return line
        body = self.example.replace("'", "'\\''")
        return f"{line} \\\n  -H 'Content-Type: application/json' -d '{body}'"


@cache
def calls() -> dict[str, tuple[Call, ...]]:
    """Group → calls, in the document's order."""
    document: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    schemas = document["components"]["schemas"]
    groups: dict[str, list[Call]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                call = _call(path, method, operation, schemas)
                groups.setdefault((operation.get("tags") or ["other"])[0], []).append(call)
    return {name: tuple(group) for name, group in groups.items()}


def _call(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Call:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    answers = sorted(operation["responses"].items())
    good: dict[str, Any] = next((one for status, one in answers if status.startswith("2")), {})
    answered = good.get("content", {}).get("application/json", {}).get("schema", {})
    example = content.get("example")
    return Call(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", "").strip(),
        description=operation.get("description", "") or "",
        parameters=tuple(_parameter(one, schemas) for one in operation.get("parameters", ())),
        body=tuple(_fields(content.get("schema", {}), schemas)),
        example="" if example is None else json.dumps(example, indent=2, ensure_ascii=False),
        answers=tuple((status, answer.get("description", "")) for status, answer in answers),
        answer=tuple(_fields(answered, schemas)),
    )


def _parameter(one: Mapping[str, Any], schemas: Mapping[str, Any]) -> Field:
    schema = one.get("schema", {})
    description = one.get("description") or schema.get("description", "")
    return Field(one["name"], _type(schema, schemas), bool(one.get("required")), description, one["in"])


def _fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], before: str = "", depth: int = 0
) -> Iterator[Field]:
    """Fields of an object, or of the objects of a list, with those within them after each."""
    found = _resolved(schema, schemas)
    if found.get("type") == "array":
        yield from _fields(found.get("items", {}), schemas, f"{before}[]", depth)
        return
    required = set(found.get("required", ()))
    for name, one in found.get("properties", {}).items():
        path = f"{before}.{name}" if before else name
        yield Field(path, _type(one, schemas), name in required, one.get("description", ""))
        if depth + 1 < _DEEPEST:
            yield from _fields(one, schemas, path, depth + 1)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without its reference, and of *this or null* the one that isn't null."""
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return _resolved(options[0], schemas) if len(options) == 1 else schema


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """In a word or two: `integer or null, 1 to 500`."""
    found = _resolved(schema, schemas)
    if "enum" in found:
        word = " | ".join(json.dumps(one) for one in found["enum"])
    elif found.get("type") == "array":
        word = f"list of {_type(found.get('items', {}), schemas)}"
    elif "anyOf" in found:
        word = " or ".join(_type(one, schemas) for one in found["anyOf"])
    else:
        word = str(found.get("format") or found.get("type") or found.get("const") or "anything")
    is_optional = any(one.get("type") == "null" for one in schema.get("anyOf", ()))
    return f"{word}{' or null' if is_optional else ''}{_bounds(found)}"


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if least is not None:
        return f", at least {least}"
    return f", at most {most}" if most is not None else ""
