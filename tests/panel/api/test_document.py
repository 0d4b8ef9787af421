"""What `./wadah check` finds in the API's document."""

import json
from collections.abc import Iterator
from typing import Any

from panel.api.management.commands.api_document import faults
from panel.api.root import api


def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    return found


def test_the_document_holds_together() -> None:
    assert list(faults(_document())) == []


def test_what_is_wrong_is_named() -> None:
    broken = _document()
    first, second, *_ = [call for methods in broken["paths"].values() for call in methods.values()]
    second["operationId"] = first["operationId"]
    first["summary"] = ""
    del broken["components"]["schemas"]["Problem"]
    said = " ".join(faults(broken))
    assert f"{first['operationId']} is there 2 times" in said
    assert "says nothing of itself" in said
    assert "Problem is named and isn't there" in said


#: What has no type of its own, and why.
FREE = {
    "AuditRecord.before": "fields of whatever was changed, of things too that are no more",
    "AuditRecord.after": "the same",
    "Event.details": "what was recorded of it: as an audit record's",
    "Operation.details": "what was asked for, by kind, as it was asked for then",
    "ListedOperation.details": "the same",
    "EnvironmentPreview.changes{}[]": "a value of any option, by its place",
    "PlanPreview.changes{}[]": "the same, of any term",
}
#: What says nothing of the type.
_WORDS = frozenset({"title", "description", "default", "example", "examples"})


def _untyped(schema: dict[str, Any], at: str) -> Iterator[str]:
    """Places of what a client gets as anything: no type at all, and objects and lists of anything."""
    said = schema.keys() - _WORDS
    if not said or (schema.get("type") == "array" and not said & {"items", "prefixItems"}):
        yield at
    fields = schema.get("properties", {})
    others = schema.get("additionalProperties")
    if schema.get("type") == "object" and "properties" not in schema and others in (None, True, {}):
        yield at
    for name, one in fields.items():
        yield from _untyped(one, f"{at}.{name}")
    if isinstance(others, dict) and others:
        yield from _untyped(others, f"{at}{{}}")
    if "items" in schema:
        yield from _untyped(schema["items"], f"{at}[]")
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for one in schema.get(word, ()):
            yield from _untyped(one, at)


def test_every_field_has_a_type() -> None:
    document = _document()
    found = {place for name, one in document["components"]["schemas"].items() for place in _untyped(one, name)}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            said = [call.get("requestBody", {}), *call["responses"].values()]
            shapes = [
                one["schema"] for each in said for one in each.get("content", {}).values() if "schema" in one
            ]
            shapes += [one["schema"] for one in call["parameters"]]
            found |= {place for shape in shapes for place in _untyped(shape, f"{method} {path}")}
    assert found == FREE.keys()


def test_what_has_no_type_is_found() -> None:
    of = {
        "a": {},
        "b": {"type": "object"},
        "c": {"type": "array", "items": {"title": "c"}},
        "d": {"type": "null"},
    }
    either = {"anyOf": [{"type": "object", "additionalProperties": True}, {"type": "null"}]}
    typed = {"type": "object", "additionalProperties": {"type": "string"}}
    schema = {"type": "object", "properties": {**of, "e": either, "f": typed}}
    assert list(_untyped(schema, "X")) == ["X.a", "X.b", "X.c[]", "X.e"]
