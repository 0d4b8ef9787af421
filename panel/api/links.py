"""Links in the API's description: what an answer's id is good for (OpenAPI 3.1, Link Object)."""

import re
from typing import Any

_FIRST = re.compile(r"^(?P<list>.*?)/\{(?P<name>[^}]+)\}")
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


def link(schema: Any) -> None:
    """From whatever makes or lists a thing to whatever is done with one. Changes the document in place."""
    paths = schema["paths"]
    for path, operations in paths.items():
        found = _FIRST.match(path)
        if found is None:
            continue
        source = paths.get(found["list"]) or paths.get(f"{found['list']}/") or {}
        for method, pointer in (("post", "/id"), ("get", "/items/0/id")):
            for status, answer in source.get(method, {}).get("responses", {}).items():
                if 200 <= int(status) < 300:
                    links = answer.setdefault("links", {})
                    for operation in _of(operations):
                        links[operation["operationId"]] = {
                            "operationId": operation["operationId"],
                            "parameters": {found["name"]: f"$response.body#{pointer}"},
                        }


def _of(operations: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for method, one in operations.items() if method in _METHODS]
