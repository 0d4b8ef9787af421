"""Lists of the API: cut into pages, with the number of all."""

from collections.abc import Callable
from typing import TypeVar

from django.db import models
from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import ListOf, ShownT
from panel.http.inputs import Query
from panel.paging import LOOK_AHEAD, count_up_to

ModelT = TypeVar("ModelT", bound=models.Model)

MAX_LIMIT = 500


class Count(TypedDict):
    count: int
    count_is_exact: bool


class Page(Query):
    """`?limit=&offset=`; at most 500 at once."""

    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=10_000_000)


def page_of(rows: "models.QuerySet[ModelT]", page: Page, show: Callable[[ModelT], ShownT]) -> ListOf[ShownT]:
    """See `cut`."""
    found, count = cut(rows, page)
    return {"items": [show(row) for row in found], **count}


def cut(rows: "models.QuerySet[ModelT]", page: Page) -> tuple[list[ModelT], Count]:
    """The rows of one page and how many there are. One query, and one for the count where the page is full.

    Counted is up to 1,000 rows beyond the page; where there are more, `count_is_exact` is false.
    """
    found = list(rows[page.offset : page.offset + page.limit + 1])
    if not found and page.offset:  # beyond the end, which is somewhere before
        return [], {"count": count_up_to(rows, page.offset), "count_is_exact": True}
    if len(found) <= page.limit:
        return found, {"count": page.offset + len(found), "count_is_exact": True}
    most = page.offset + page.limit + LOOK_AHEAD
    count = count_up_to(rows, most + 1)
    return found[: page.limit], {"count": min(count, most), "count_is_exact": count <= most}
