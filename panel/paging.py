"""Counting only as far as somebody would look: a count of 100,000 rows costs more than the page itself."""

from typing import TYPE_CHECKING, Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db import models

ModelT = TypeVar("ModelT", bound=models.Model)

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:  # not generic while it runs
    _Paginator = Paginator

#: How many rows after those shown are counted.
LOOK_AHEAD = 1_000


def count_up_to(rows: "models.QuerySet[ModelT]", most: int) -> int:
    """The number of rows, at most `most`."""
    return rows.order_by()[:most].count()


class BoundedPaginator(_Paginator):
    """Knows of the pages up to some way beyond the one that is asked for."""

    is_bounded = False
    """There are more rows than `count` says."""

    def __init__(self, rows: "models.QuerySet[Any]", per_page: int, count: int, *, is_bounded: bool) -> None:
        super().__init__(rows, per_page)
        self.count = count
        self.is_bounded = is_bounded


def asked_page(number: str | None) -> int:
    """Of an address; the first when it names none."""
    try:
        return min(max(int(number or 1), 1), 10_000_000)
    except ValueError:
        return 1


def page_of_rows(rows: "models.QuerySet[ModelT]", per_page: int, number: str | None) -> "Page[ModelT]":
    """The page that an address asks for, the first or last when there is none of that number."""
    most = asked_page(number) * per_page + LOOK_AHEAD
    count = count_up_to(rows, most + 1)
    return BoundedPaginator(rows, per_page, min(count, most), is_bounded=count > most).get_page(number)
