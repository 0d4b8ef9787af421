"""What `./wadah check` finds in the API's document."""

import json
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
