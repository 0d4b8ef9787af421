"""A condition on rows that is asked of the database and of a row in hand alike, so that it is written once."""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from django.db.models import F, Q

Test: TypeAlias = Callable[[Any], bool]

_LOOKUPS: dict[str, Callable[[Any, Any], Any]] = {
    "exact": operator.eq,
    "in": lambda value, many: value in many,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "isnull": lambda value, is_null: (value is None) == is_null,
}


def tester(condition: Q) -> Test:
    """Tells of a row whether `filter(condition)` finds it: for columns that aren't null, and the lookups above.

    To be made once, beside the condition. What is asked of a related row costs a query where that didn't come
    with it.
    """
    children: list[Any] = condition.children
    tests = [tester(one) if isinstance(one, Q) else _single(one[0], one[1]) for one in children]
    combine = any if condition.connector == Q.OR else all
    negated = condition.negated
    if len(tests) == 1 and not negated:
        return tests[0]
    return lambda row: combine(test(row) for test in tests) != negated


def _single(path: str, wanted: Any) -> Test:
    names = path.split("__")
    compare = _LOOKUPS[names.pop() if names[-1] in _LOOKUPS else "exact"]
    value = operator.attrgetter(".".join(names))
    if isinstance(wanted, F):
        other = operator.attrgetter(wanted.name)
        return lambda row: bool(compare(value(row), other(row)))
    return lambda row: bool(compare(value(row), wanted))
