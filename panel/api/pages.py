"""Lists of the API: cut into pages, with the number of all."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import models
from pydantic import BaseModel, ConfigDict, Field

ModelT = TypeVar("ModelT", bound=models.Model)

MAX_LIMIT = 500


class Page(BaseModel):
    """`?limit=&offset=`; at most 500 at once."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=10_000_000)


def page_of(
    rows: "models.QuerySet[ModelT]", page: Page, show: Callable[[ModelT], dict[str, Any]]
) -> dict[str, Any]:
    """`{"items", "count"}`. One query, and one for the count where the page is full."""
    found = list(rows[page.offset : page.offset + page.limit + 1])
    count = page.offset + len(found) if len(found) <= page.limit else rows.count()
    return {"items": [show(row) for row in found[: page.limit]], "count": count}
