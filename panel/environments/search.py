"""Finding a part of a word among very many environments.

PostgreSQL can't tell beforehand how many rows `LIKE '%…%'` finds, and the wrong way takes a hundred times as
long. So a look at some rows decides: what few have is found by trigrams (`environment_by_words`) and put in
order after; what many have fills a page soon, in the list's own order.
"""

import re
from collections.abc import Sequence
from uuid import UUID

from django.core.paginator import Page
from django.db import connection
from django.db.models import F, Func, Q, QuerySet, TextField
from django.db.models.expressions import OrderBy

from panel.environments.features import found_by_features
from panel.environments.models import Environment
from panel.folding import finds
from panel.paging import LOOK_AHEAD, BoundedPaginator, asked_page, count_up_to, page_of_rows

#: Rows that are looked at, at random: ids are.
_SAMPLE = 300
#: Part of them that makes a word a common one.
_COMMON = 0.3
#: Rows of the list's order that are read at once, and at most, in the hope of a page of a common word.
_WINDOW, _WALK = 500, 2000
_TEXTS = ("name", "description", "image")
_ADDRESS = re.compile(r"[0-9a-f]*[.:][0-9a-f.:]*", re.IGNORECASE)


class Words(Func):
    """As the index has it (migration 0008)."""

    template = "lower(%(expressions)s)"
    arg_joiner = " || E'\\n' || "
    output_field = TextField()

    def __init__(self) -> None:
        super().__init__(*_TEXTS)


def matching(text: str) -> Q:
    """Name, description or image, or what a feature knows it by."""
    return _in_texts(text) | found_by_features(text)


def _in_texts(text: str) -> Q:
    return finds(text, *_TEXTS)


def page_of_found(
    rows: "QuerySet[Environment]",
    text: str,
    order: Sequence[OrderBy | str],
    per_page: int,
    number: str | None,
    *,
    is_of_all: bool,
) -> "Page[Environment]":
    """The page of those that match, as `page_of_rows` gives it.

    `rows` have no order yet. `is_of_all`: they aren't cut down to some tenants, so that they may be very many.
    """
    found, ordered = rows.filter(matching(text)), rows.order_by(*order)
    if connection.vendor != "postgresql" or not is_of_all:
        return page_of_rows(found.order_by(*order), per_page, number)
    asked = asked_page(number)
    most = asked * per_page + LOOK_AHEAD
    is_common = _is_common(text)
    if is_common:
        count = count_up_to(found, most + 1)
    else:
        ids = _few(rows, text, most + 1)
        if len(ids) <= most:
            return page_of_rows(ordered.filter(pk__in=ids), per_page, number)
        count = len(ids)
    paginator = BoundedPaginator(found, per_page, min(count, most), is_bounded=count > most)
    asked = min(asked, paginator.num_pages)
    start, stop = (asked - 1) * per_page, asked * per_page
    shown = _walk(ordered, text, start, stop) if is_common else None
    if shown is None:
        shown = _sorted(found if is_address(text) else _by_words(rows, text), order, start, stop)
    return Page(list(ordered.filter(pk__in=shown)), asked, paginator)


def is_address(text: str) -> bool:
    """Whether it could be a part of one."""
    return bool(_ADDRESS.fullmatch(text))


def _is_common(text: str) -> bool:
    """Whether so many have it that a walk soon finds a page of them."""
    seen = Environment.objects.living().order_by("pk").values_list(*_TEXTS)[:_SAMPLE]
    having = [_has(texts, text) for texts in seen]
    return not is_address(text) and sum(having) > _COMMON * len(having)


def _has(texts: Sequence[str], text: str) -> bool:
    return any(text.lower() in one.lower() for one in texts)


def _by_words(rows: "QuerySet[Environment]", text: str) -> "QuerySet[Environment]":
    """By trigrams: the index knows only which rows may match."""
    return rows.alias(words=Words()).filter(_in_texts(text), words__contains=text.lower())


def _few(rows: "QuerySet[Environment]", text: str, most: int) -> set[UUID]:
    """Ids of those that match, at most `most`."""
    found = set(_by_words(rows, text).order_by().values_list("pk", flat=True)[:most])
    if is_address(text):
        found |= set(rows.filter(found_by_features(text)).order_by().values_list("pk", flat=True)[:most])
    return found


def _walk(ordered: "QuerySet[Environment]", text: str, start: int, stop: int) -> list[UUID] | None:
    """Ids of the matching rows from `start` to `stop`, in that order. None: not among the first."""
    found = list[UUID]()
    for at in range(0, _WALK, _WINDOW):
        read = list(ordered.values_list("pk", *_TEXTS)[at : at + _WINDOW])
        found += [pk for pk, *texts in read if _has(texts, text)]
        if len(found) >= stop or len(read) < _WINDOW:
            return found[start:stop]
    return None


def _sorted(
    found: "QuerySet[Environment]", order: Sequence[OrderBy | str], start: int, stop: int
) -> list[UUID]:
    """Ids of `found` from `start` to `stop`. All of them are found first, then sorted: an index that has them
    in order would lead through every row before the first that matches."""
    by = order[0]
    assert isinstance(by, OrderBy)
    assert isinstance(by.expression, F)
    inner, values = found.order_by().values_list("pk", by.expression.name).query.sql_with_params()
    way = ("DESC" if by.descending else "ASC") + (" NULLS LAST" if by.nulls_last else "")
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH found AS MATERIALIZED ({inner}) SELECT * FROM found ORDER BY 2 {way}, 1 OFFSET %s LIMIT %s",  # noqa: S608 - Django's
            [*values, start, stop - start],
        )
        return [row[0] for row in cursor.fetchall()]
