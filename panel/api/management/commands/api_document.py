"""Makes the API's document as it would be served, for `./wadah check`: whether it holds together.

What answers really are, `tests/panel/api` holds against it.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from panel.api.root import api


def faults(document: dict[str, Any]) -> Iterator[str]:
    """Operations named twice, calls that say nothing of themselves, references to what
    isn't there; none for a document that holds together."""
    calls = [call for methods in document["paths"].values() for call in methods.values()]
    names = Counter(call.get("operationId", "") for call in calls)
    doubled = {name: count for name, count in names.items() if count > 1}
    yield from (f"{name or 'a call without a name'} is there {count} times" for name, count in doubled.items())
    yield from (f"{call['operationId']} says nothing of itself" for call in calls if not call.get("summary"))
    known = document["components"]["schemas"]
    for schema in sorted(set(_references(document))):
        if schema not in known:
            yield f"{schema} is named and isn't there"


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        found = part.get("$ref")
        if isinstance(found, str):
            yield found.rpartition("/")[2]
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


class Command(BaseCommand):
    help = "Makes the API's document and says what is wrong with it."

    def handle(self, *_args: Any, **_options: Any) -> None:
        found = list(faults(json.loads(json.dumps(api.get_openapi_schema(), default=str))))
        if found:
            raise CommandError("\n".join(found))
