"""Request headers in the API's description, and names of its schemas, as generators of clients need them."""

import json
import re
from typing import Any

_LIST = re.compile(r"\bListOf_(\w+?)_\b")
_UNSAFE = frozenset({"post", "put", "patch", "delete"})
#: Operations that take `If-Match` (`panel.http.versions`).
TAKES_IF_MATCH = frozenset(
    {
        "environments_delete", "environments_undelete", "environments_update", "members_update",
        "nodes_update", "plans_retire", "plans_update", "roles_update", "tenants_cancel_deletion",
        "tenants_delete", "tenants_resume", "tenants_suspend", "tenants_update",
    }
)  # fmt: skip
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Chosen by the caller; the same key with the same request is carried out once.",
    "schema": {"type": "string", "title": "Idempotency-Key"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The version that was read: 412 when it was changed since.",
    "schema": {"type": "string", "title": "If-Match"},
}


def describe_headers(document: dict[str, Any]) -> None:
    """Adds them to each operation that takes them, where they aren't yet."""
    for path in document["paths"].values():
        for method, operation in path.items():
            wanted = [_KEY] if method in _UNSAFE else []
            if operation.get("operationId") in TAKES_IF_MATCH:
                wanted.append(_IF_MATCH)
            known = operation.setdefault("parameters", [])
            there = {one.get("name") for one in known}
            known.extend(dict(one) for one in wanted if one["name"] not in there)


def name_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """`ListOf_Tenant_` is `TenantList`, and each schema has its own name as its title: two with one title are
    one class to a generator."""
    named: dict[str, Any] = json.loads(_LIST.sub(r"\1List", json.dumps(document, default=str)))
    for name, schema in named["components"]["schemas"].items():
        schema["title"] = name
        _name_values(schema)
    return named


def _name_values(schema: Any) -> None:
    """What each name of an object has says `additionalProperties`, where names have a pattern too: no generator
    of clients reads `patternProperties`."""
    if isinstance(schema, list):
        for one in schema:
            _name_values(one)
    if not isinstance(schema, dict):
        return
    patterns = schema.get("patternProperties")
    if isinstance(patterns, dict) and len(patterns) == 1 and "properties" not in schema:
        ((pattern, shape),) = patterns.items()
        del schema["patternProperties"]
        schema |= {"propertyNames": {"pattern": pattern}, "additionalProperties": shape}
    for one in schema.values():
        _name_values(one)
